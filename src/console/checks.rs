//! The outcome of a test of a client secret, check by check, in words.

use serde::{Deserialize, Serialize};

use super::moment;
use super::status::{listed, shown};
use crate::clients::SecretMatch;
use crate::issuance::{GrantError, Rehearsal};
use crate::model::refusal::Refusal;
use crate::model::secret::SecretFault;

/// One check: its outcome, and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Check {
    pub(super) outcome: Outcome,
    pub(super) text: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// The console cannot know the outcome.
    NotTested,
}

impl Outcome {
    /// The word on its badge.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::NotTested => "Not tested",
        }
    }

    /// The colour of its badge.
    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "bad",
            Self::NotTested => "",
        }
    }
}

fn check(outcome: Outcome, text: impl Into<String>) -> Check {
    Check { outcome, text: text.into() }
}

/// One check for each step of a token request, in their order. The check of the signing key is left out if `grant` is an
/// error.
pub(super) fn of(rehearsal: &Rehearsal) -> Vec<Check> {
    let Rehearsal { trial, grant, has_key } = rehearsal;
    let mut checks = Vec::new();
    checks.push(match trial.fault {
        None if trial.secret == Some(SecretMatch::Unknown) => check(
            Outcome::Failed,
            "The client has no such secret. It may belong to another client, or it was deleted. Secrets begin with mms_.",
        ),
        None if trial.secret == Some(SecretMatch::Expired) => {
            check(Outcome::Failed, "This secret has expired. Add a new secret.")
        }
        None => check(Outcome::Passed, "The secret belongs to this client."),
        Some(fault) => check(Outcome::Failed, fault_text(fault)),
    });
    checks.push(match trial.refusal {
        None => check(Outcome::Passed, "The client is enabled and its workspace is active."),
        Some(Refusal::ClientDisabled) => {
            check(Outcome::Failed, "The client is disabled. Enable it under Settings.")
        }
        Some(Refusal::ClientExpired) => {
            check(Outcome::Failed, "The client has ended. Set a later end under Settings, or none.")
        }
        Some(Refusal::WorkspaceSuspended) => check(
            Outcome::Failed,
            "The workspace is suspended. A platform administrator can make it active again.",
        ),
        Some(other) => check(Outcome::Failed, other.as_str().replace('_', " ")),
    });
    checks.push(if trial.allowed_ips.is_empty() {
        check(Outcome::Passed, "This client may call from any address.")
    } else {
        let networks: Vec<String> = trial.allowed_ips.iter().map(|network| shown(*network)).collect();
        check(
            Outcome::NotTested,
            format!("Not tested from here: this client may call only from {}.", listed(&networks)),
        )
    });
    checks.push(match grant {
        Ok(granted) if granted.expires_in.is_some_and(|seconds| seconds <= 0) => {
            check(Outcome::Failed, "A token ends with the client at the latest, and the client has ended.")
        }
        Ok(granted) => {
            let lifetime = granted.expires_in.map_or_else(
                || "never expires".to_owned(),
                |seconds| format!("is valid for {}", moment::span(seconds)),
            );
            let scope = granted.scope.replace(' ', ", ");
            check(Outcome::Passed, format!("The client may have a token for {scope} that {lifetime}."))
        }
        Err(GrantError::NeverExpiresNotAllowed) => check(
            Outcome::Failed,
            "Its tokens never expire, which the workspace or a product no longer allows. Choose an expiration under Settings.",
        ),
        Err(_) => check(Outcome::Failed, "The client has no product that a token could open. Select products under Settings."),
    });
    checks.extend(has_key.map(|has_key| {
        if has_key {
            check(Outcome::Passed, "There is a key to sign the token with.")
        } else {
            check(
                Outcome::Failed,
                "There is no active key to sign the token with. A platform administrator can make one.",
            )
        }
    }));
    checks
}

fn fault_text(fault: SecretFault) -> &'static str {
    match fault {
        SecretFault::WhiteSpace => {
            "The secret has white space or a line end before or after it. Paste it without."
        }
        SecretFault::Length => {
            "The secret is not complete, or something was added: a secret has 53 characters. Copy it again."
        }
        SecretFault::Alphabet => "A character after mms_ is no letter or digit. Copy the secret again.",
        SecretFault::Checksum => "The secret has a wrong character. Copy it again.",
    }
}

/// The outcome of all checks together: a tone for its colour, and the words.
pub(super) fn verdict(checks: &[Check]) -> (&'static str, &'static str) {
    if checks.iter().any(|check| check.outcome == Outcome::Failed) {
        ("bad", "A token request would be refused")
    } else if checks.iter().any(|check| check.outcome == Outcome::NotTested) {
        ("ok", "A token request from an allowed address would succeed")
    } else {
        ("ok", "A token request would succeed")
    }
}
