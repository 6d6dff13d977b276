//! The details of an audit event, such as the old and new values of a change, as lines of a name and a value, in words.

use serde_json::Value;

use super::moment::span;
use crate::model::audit::AuditEvent;

/// The details of an event as lines of a name and a value.
pub(super) fn facts(event: &AuditEvent) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for (name, value) in &event.detail {
        match value.as_object() {
            Some(members) if name == "changed" => {
                for (member, change) in members {
                    let side = |side: &str| change.get(side).map_or_else(|| "none".to_owned(), plain);
                    let line = if change.get("new").is_some() {
                        format!("{} → {}", side("old"), side("new"))
                    } else {
                        plain(change)
                    };
                    facts.push((words(member), line));
                }
            }
            _ => facts.push((words(name), plain(value))),
        }
    }
    facts
}

/// What the forms call a member.
pub(super) fn member(name: &str) -> String {
    match name {
        "allowed_ips" => "allowed addresses".to_owned(),
        "expires_at" => "end".to_owned(),
        "notification_emails" => "notification email".to_owned(),
        "replace_grace_seconds" => "seconds for which a replaced token stays valid".to_owned(),
        "token_expiry" => "expiration".to_owned(),
        other => other.replace('_', " "),
    }
}

/// What the forms call a member, with a capital first letter.
fn words(name: &str) -> String {
    let name = member(name);
    let mut chars = name.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// A value in words.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        Value::Object(members) if members.is_empty() => "none".to_owned(),
        Value::Object(expiry) if expiry.contains_key("mode") => {
            let seconds = expiry.get("seconds").and_then(Value::as_i64);
            seconds.map_or_else(|| "never expires".to_owned(), |seconds| format!("after {}", span(seconds)))
        }
        Value::Object(members) if members.values().all(|value| !value.is_array() && !value.is_object()) => {
            let pairs = members.iter().map(|(name, value)| format!("{name}={}", plain(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::audit::{Action, Actor};

    fn event(detail: Value) -> AuditEvent {
        let Value::Object(detail) = detail else { panic!("an object") };
        AuditEvent {
            event_id: String::new(),
            at: 0,
            actor: Actor::system(),
            action: Action::ClientUpdated.as_str().to_owned(),
            workspace_id: None,
            client_id: None,
            target: String::new(),
            detail,
        }
    }

    #[test]
    fn each_fact_is_a_name_and_a_value_in_words() {
        let detail = json!({"label": "SAP", "changed": {"products": {"old": ["gst"], "new": []}, "status": {"old": null, "new": "active"}}});
        let facts = super::facts(&event(detail));
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            facts,
            [line("Products", "gst → none"), line("Status", "none → active"), line("Label", "SAP")]
        );
        let detail = json!({"allowed_ips": [], "metadata": {"owner": "finance", "site": "IN"}, "token_expiry": {"mode": "after", "seconds": 3600}});
        let facts = super::facts(&event(detail));
        assert_eq!(
            facts,
            [
                line("Allowed addresses", "none"),
                line("Metadata", "owner=finance, site=IN"),
                line("Expiration", "after 1 hour")
            ]
        );
    }
}
