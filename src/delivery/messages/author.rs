//! Says in words who did something, from where and when.

use super::facts::Facts;
use super::letter::Row;
use super::{MailFacts, SHOWN_MAX};
use crate::model::mail::MailKind;
use crate::model::moment;
use crate::model::text;

/// The last rows of every mail.
pub(super) fn rows(facts: Facts<'_>, mail: &MailFacts) -> Vec<Row> {
    let mut rows = Vec::new();
    // A reminder has no author: the service sends it by itself.
    let is_reminder =
        matches!(mail.kind, MailKind::SecretExpiring | MailKind::ClientExpiring | MailKind::TokenExpiring);
    let by = facts.object("by").filter(|_| !is_reminder);
    let author = by.and_then(|by| named(by, mail));
    rows.extend(author.map(|author| Row::new("Done by", author)));
    rows.extend(facts.shown("source_ip").map(|address| Row::code("From the address", address)));
    let at = facts.number("at").unwrap_or(mail.queued_at);
    rows.push(Row::new(if is_reminder { "Written" } else { "When" }, moment::exact_to_the_second(at)));
    rows
}

fn named(by: Facts<'_>, mail: &MailFacts) -> Option<String> {
    let id = by.text("id").map(|id| text::shown(id, SHOWN_MAX)).unwrap_or_default();
    let name = by.shown("name");
    Some(match (by.text("kind")?, name) {
        ("operator", Some(name)) => format!("{name}, who signed in to the console"),
        ("operator", None) => format!("an operator who is deleted ({id})"),
        ("client", _) if id == mail.about_id => "the API client itself".to_owned(),
        ("client", Some(label)) => format!("the API client {label} ({id}), through the management API"),
        ("client", None) => format!("an API client that is deleted ({id})"),
        ("cli", _) if !id.is_empty() => format!("{id}, at the command line on the host of the service"),
        ("cli", _) => "somebody at the command line, on the host of the service".to_owned(),
        _ => "the service itself".to_owned(),
    })
}
