//! What mails say.

use serde_json::{Map, Value};

use crate::kernel::Kernel;
use crate::model::clock::to_rfc3339;
use crate::model::delivery::Claimed;

/// A mail, without its headers but the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// One line.
    pub subject: String,
    /// For every reader.
    pub text: String,
    /// The same with markup.
    pub html: String,
}

/// Why a mail cannot be written. Trying again does not help.
#[derive(Debug, thiserror::Error)]
#[error("this version does not know mails about {0}")]
pub(super) struct Unwritable(String);

/// The message of a delivery.
///
/// # Errors
/// [`Unwritable`].
pub(super) fn of(claimed: &Claimed, kernel: &Kernel) -> Result<Message, Unwritable> {
    if claimed.kind.is_empty() {
        return Err(Unwritable(claimed.kind.clone()));
    }
    let facts: Map<String, Value> = serde_json::from_str(&claimed.body).unwrap_or_default();
    let label = facts.get("label").or(facts.get("name")).and_then(Value::as_str);
    let subject = format!("{}: {}", claimed.kind, label.unwrap_or(&claimed.about_id));
    let text = format!(
        "{subject}\n{} time(s), the last at {}\n{}\n",
        claimed.occurrences,
        to_rfc3339(claimed.queued_at),
        kernel.policy.console_url
    );
    let html = text.replace('&', "&amp;").replace('<', "&lt;");
    Ok(Message { html: format!("<pre>{html}</pre>"), text, subject })
}
