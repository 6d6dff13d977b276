//! The reply to a client that could not authenticate, and the line in the log.
//!
//! The reply is the same for every failure that depends on a client. Credentials that cannot belong to any client get a reply
//! that names the fault: this reveals nothing, and it does not count as an attempt to guess a secret.

use std::net::IpAddr;

use super::presented::Unusable;
use super::throttle::{Throttle, Throttled};
use crate::clients::Refusal;
use crate::model::ids;
use crate::model::secret::SecretFault;
use crate::oauth::error::OAuthError;

/// Why authentication failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There is nothing to verify.
    Unusable(Unusable),
    /// It was verified, and is not valid.
    Refused(Refusal),
}

impl Why {
    /// The name in the log.
    fn as_str(self) -> &'static str {
        match self {
            Self::Unusable(Unusable::Nothing) => "no_usable_credentials",
            Self::Unusable(Unusable::BasicNotEncoded) => "basic_not_encoded",
            Self::Unusable(Unusable::BasicWithSpaces) => "basic_with_spaces",
            Self::Refused(refusal) => refusal.as_str(),
        }
    }

    /// What is wrong with malformed credentials.
    fn fault(self) -> Option<&'static str> {
        Some(match self {
            Self::Unusable(Unusable::BasicNotEncoded) => {
                "the value of Basic has a colon: encode client_id:client_secret in base64"
            }
            Self::Unusable(Unusable::BasicWithSpaces) => {
                "the value of Basic has spaces inside: send base64 of client_id:client_secret in one piece"
            }
            Self::Refused(Refusal::MalformedSecret(fault)) => match fault {
                SecretFault::WhiteSpace => {
                    "the client secret has white space or a line end before or after it: send it without"
                }
                SecretFault::Length => {
                    "the client secret is not complete or has something added: it is 53 characters long, beginning with mms_"
                }
                SecretFault::Alphabet => {
                    "the client secret has a character that no secret has: after mms_ it has only letters and digits"
                }
                SecretFault::Checksum => {
                    "the client secret has a wrong character: its checksum does not match, so copy it again"
                }
            },
            Self::Unusable(Unusable::Nothing) | Self::Refused(_) => return None,
        })
    }
}

/// The error for a request of `client_id` (empty if it names none) from `source`. Logs and counts it.
#[cold]
pub(super) fn error(throttle: &Throttle, why: Why, client_id: &str, source: Option<IpAddr>) -> OAuthError {
    if let Some(fault) = why.fault() {
        if let Some(count) = throttle.malformed(source) {
            log(why, client_id, source, count, "client authentication failed: the credentials are malformed");
        }
        return OAuthError::MalformedCredentials(fault);
    }
    match throttle.failed(client_id, source) {
        None => {
            log(why, client_id, source, 1, "client authentication failed");
            OAuthError::InvalidClient
        }
        Some(Throttled { seconds, line }) => {
            if let Some(count) = line {
                log(why, client_id, source, count, "client authentication failed too often");
            }
            OAuthError::TooManyFailures(seconds)
        }
    }
}

/// Writes one line for the `count` failures since the last one.
fn log(why: Why, client_id: &str, source: Option<IpAddr>, count: u32, message: &'static str) {
    tracing::info!(
        target: "mintmark::authenticate",
        reason = why.as_str(),
        // Anything that is not a client id may be a secret that was sent in its place.
        client_id = if ids::is_client_id(client_id) { client_id } else { "none" },
        source = source.map_or_else(|| "unknown".to_owned(), |source| source.to_string()),
        count,
        "{message}"
    );
}
