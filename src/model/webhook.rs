//! A webhook: a URL to which the events of a workspace are sent, and which events it gets.

use super::audit::Action;
use super::clock::UnixSeconds;

/// How many webhooks a workspace may have.
pub const MAX_WEBHOOKS: usize = 20;
/// For how long replaced keys still sign, in seconds.
pub const OLD_KEYS_SIGN_SECONDS: i64 = 24 * 60 * 60;

/// For how long every delivery to a webhook may fail before it is disabled, in seconds: five days.
pub const FAILING_MAX_SECONDS: i64 = 5 * 24 * 60 * 60;

/// The event that reports a changed status list. It goes only to webhooks with a pattern that matches it.
pub const STATUS_LIST_CHANGED: &str = "status_list.changed";
/// The event that carries a checkpoint of the audit trail. It goes only to webhooks with a pattern that matches it.
pub const AUDIT_CHECKPOINT: &str = "audit.checkpoint";
/// The event that a person sends to try a webhook. Only this webhook gets it, whichever events it names.
pub const WEBHOOK_TEST: &str = "webhook.test";

/// Why a webhook is disabled and gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disabled {
    /// An administrator disabled it.
    Administrator,
    /// Its receiver answered 410 Gone.
    Gone,
    /// Every delivery failed for [`FAILING_MAX_SECONDS`].
    Failing,
}

impl Disabled {
    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

impl std::str::FromStr for Disabled {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Administrator, Self::Gone, Self::Failing]
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or(())
    }
}

/// A webhook as stored, without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// UUIDv7.
    pub webhook_id: String,
    /// The workspace whose events it gets; a webhook of the workspace `platform` gets those of all workspaces.
    pub workspace_id: String,
    /// Where requests go. It may have a secret in its query, so it is never logged.
    pub url: String,
    /// Host and port of `url`.
    pub host: String,
    /// The events it gets.
    pub events: Events,
    /// Free text about it.
    pub description: Option<String>,
    /// Why it is disabled; `None` while it is active.
    pub disabled: Option<Disabled>,
    /// The key that verifies `v1a` signatures (Standard Webhooks): `whpk_…`.
    pub public_key: String,
    /// When the first failure since the last success happened; `None` if there was none.
    pub failing_since: Option<UnixSeconds>,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

impl Webhook {
    /// `active` or `disabled`.
    pub fn status(&self) -> &'static str {
        if self.disabled.is_some() { "disabled" } else { "active" }
    }
}

/// Which events a webhook gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Events {
    /// All except [`STATUS_LIST_CHANGED`] and [`AUDIT_CHECKPOINT`].
    #[default]
    Usual,
    /// Those that one of these patterns matches: `*`, `noun.*` or the name of an event.
    Named(Vec<String>),
}

impl Events {
    /// Whether an event of this name is among them.
    pub fn include(&self, event: &str) -> bool {
        match self {
            Self::Usual => !must_be_named(event),
            Self::Named(patterns) => patterns.iter().any(|pattern| matches(pattern, event)),
        }
    }

    /// The patterns; `None` for the usual events.
    pub fn patterns(&self) -> Option<&[String]> {
        match self {
            Self::Usual => None,
            Self::Named(patterns) => Some(patterns),
        }
    }
}

/// The names of all events that a webhook can select: all except [`WEBHOOK_TEST`].
pub fn event_names() -> impl Iterator<Item = &'static str> {
    Action::ALL.into_iter().map(Action::as_str).chain([STATUS_LIST_CHANGED, AUDIT_CHECKPOINT])
}

/// Whether `pattern` names at least one event.
pub fn is_pattern(pattern: &str) -> bool {
    event_names().any(|event| matches(pattern, event))
}

fn must_be_named(event: &str) -> bool {
    matches!(event, STATUS_LIST_CHANGED | AUDIT_CHECKPOINT)
}

fn matches(pattern: &str, event: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(noun) => event.split_once('.').is_some_and(|(of, _)| of == noun),
        None => pattern == "*" || pattern == event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(patterns: &[&str]) -> Events {
        Events::Named(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
    }

    #[test]
    fn a_pattern_must_match_at_least_one_event() {
        for good in
            ["*", "client.*", "client.created", "access_tokens.*", "status_list.*", "audit.checkpoint"]
        {
            assert!(is_pattern(good), "{good}");
        }
        for bad in
            ["", "**", "client", "client.", "client*", "Client.*", "client.create*", ".*", "*.created", "x.y"]
        {
            assert!(!is_pattern(bad), "{bad}");
        }
    }

    #[test]
    fn a_webhook_gets_the_usual_events_or_those_that_its_patterns_match() {
        for (events, event, included) in [
            (Events::Usual, "client.created", true),
            (Events::Usual, STATUS_LIST_CHANGED, false),
            (Events::Usual, AUDIT_CHECKPOINT, false),
            (named(&["*"]), STATUS_LIST_CHANGED, true),
            (named(&["client.*", "secret.created"]), "client.deleted", true),
            (named(&["client.*", "secret.created"]), "secret.created", true),
            (named(&["client.*", "secret.created"]), "secret.deleted", false),
            (named(&["access_token.*"]), "access_tokens.revoked", false),
        ] {
            assert_eq!(events.include(event), included, "{events:?} {event}");
        }
    }

    #[test]
    fn a_reason_for_disabling_is_read_as_written() {
        for reason in [Disabled::Administrator, Disabled::Gone, Disabled::Failing] {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert_eq!("".parse::<Disabled>(), Err(()));
    }
}
