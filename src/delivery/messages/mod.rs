//! What mails say.

use serde_json::{Map, Value};

use crate::model::clock::UnixSeconds;
use crate::model::delivery::Claimed;

/// What a mail is about.
#[derive(Debug, Clone)]
pub(crate) struct MailFacts {
    /// The type of the event, or `summary`.
    pub(crate) kind: String,
    /// The client or the operator.
    pub(crate) about_id: String,
    /// How many events of its kind it reports.
    pub(crate) occurrences: i64,
    /// When it was queued.
    pub(crate) queued_at: UnixSeconds,
    /// The facts that were queued with it; never a secret or a token.
    pub(crate) facts: Map<String, Value>,
}

impl MailFacts {
    /// Those of a delivery. Facts that cannot be read are none, so that the mail is sent all the same.
    pub(crate) fn of(claimed: &Claimed) -> Self {
        Self {
            kind: claimed.kind.clone(),
            about_id: claimed.about_id.clone(),
            occurrences: claimed.occurrences,
            queued_at: claimed.queued_at,
            facts: serde_json::from_str(&claimed.body).unwrap_or_default(),
        }
    }
}

/// A mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// One line.
    pub(crate) subject: String,
    /// For every reader.
    pub(crate) text: String,
    /// The same with markup.
    pub(crate) html: Option<String>,
}

/// The mail that reports `mail`.
pub(crate) fn render(mail: &MailFacts) -> Message {
    let label = mail.facts.get("label").or(mail.facts.get("name")).and_then(Value::as_str);
    let subject = format!("{}: {}", label.unwrap_or(&mail.about_id), mail.kind);
    let times = if mail.occurrences > 1 { format!(" ({} times)", mail.occurrences) } else { String::new() };
    let at = crate::model::clock::to_rfc3339(mail.queued_at);
    Message { text: format!("{subject}{times}, {at}\n"), subject, html: None }
}
