//! What a change of an API client changed, in plain words: each member as it was and as it is.

use serde_json::{Map, Value};

use super::SHOWN_MAX;
use super::facts::Facts;
use crate::model::clock::from_rfc3339;
use crate::model::moment;
use crate::model::text;

/// How many items of a list are named.
const ITEMS_MAX: usize = 20;

/// A member that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) what: &'static str,
    pub(super) before: String,
    pub(super) after: String,
}

/// The members that were changed, in the order of [`MEMBERS`].
pub(super) fn of(facts: Facts<'_>) -> Vec<Change> {
    let Some(changed) = facts.object("changed") else { return Vec::new() };
    let known = MEMBERS.iter().filter_map(|(member, what)| {
        let change = changed.object(member)?;
        let side = |name| words(member, change.0.get(name).unwrap_or(&Value::Null));
        Some(Change { what, before: side("old"), after: side("new") })
    });
    known.collect()
}

/// The members of an API client, and what mails call them.
const MEMBERS: [(&str, &str); 13] = [
    ("label", "Label"),
    ("status", "Status"),
    ("products", "Products"),
    ("permissions", "Permissions on Mintmark itself"),
    ("token_expiry", "How long its tokens live"),
    ("active_tokens", "Tokens at a time"),
    ("replace_grace_seconds", "A replaced token stays valid for"),
    ("allowed_ips", "Addresses it may call from"),
    ("notification_emails", "Notification email"),
    ("expires_at", "End of the API client"),
    ("signing_alg", "Signing algorithm"),
    ("description", "Description"),
    ("metadata", "Metadata"),
];

/// The value of a member in words.
pub(super) fn words(member: &str, value: &Value) -> String {
    match (member, value) {
        ("token_expiry", Value::Object(expiry)) => expiry_in_words(expiry),
        ("active_tokens", Value::String(word)) if word == "many" => "any number".to_owned(),
        ("active_tokens", Value::String(word)) if word == "replace" => {
            "one: a new token revokes the one before it".to_owned()
        }
        ("active_tokens", Value::Number(max)) => format!("at most {max}: a further one revokes the oldest"),
        ("replace_grace_seconds", Value::Number(seconds)) => {
            moment::span(seconds.as_i64().unwrap_or_default())
        }
        ("expires_at", Value::String(instant)) => {
            from_rfc3339(instant).map_or_else(|| shown(instant), moment::exact)
        }
        ("expires_at", Value::Null) => "none".to_owned(),
        ("signing_alg", Value::Null) => "that of the platform".to_owned(),
        ("allowed_ips", Value::Array(list)) if list.is_empty() => "any address".to_owned(),
        (_, Value::Array(list)) => listed(list.iter().map(plain)),
        (_, Value::Object(pairs)) => {
            listed(pairs.iter().map(|(name, value)| format!("{} = {}", shown(name), plain(value))))
        }
        (_, value) => plain(value),
    }
}

fn expiry_in_words(expiry: &Map<String, Value>) -> String {
    match expiry.get("seconds").and_then(Value::as_i64) {
        Some(seconds) => moment::span(seconds),
        None => "they never expire".to_owned(),
    }
}

/// Items of a list in one line.
pub(super) fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(ITEMS_MAX);
    let mut named: Vec<String> = items.take(ITEMS_MAX).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if shown(text).is_empty() => "none".to_owned(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

fn shown(value: &str) -> String {
    text::shown(value, SHOWN_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_in_words() {
        for (member, value, expected) in [
            ("token_expiry", json!({"mode": "after", "seconds": 3600}), "1 hour"),
            ("token_expiry", json!({"mode": "never"}), "they never expire"),
            ("active_tokens", json!("many"), "any number"),
            ("active_tokens", json!(20), "at most 20: a further one revokes the oldest"),
            ("allowed_ips", json!([]), "any address"),
            ("allowed_ips", json!(["203.0.113.0/24"]), "203.0.113.0/24"),
            ("products", json!([]), "none"),
            ("products", json!(["e-invoicing", "gst"]), "e-invoicing, gst"),
            ("expires_at", json!("2026-09-21T14:13:20Z"), "21 Sep 2026, 14:13 UTC"),
            ("expires_at", json!(null), "none"),
            ("replace_grace_seconds", json!(300), "5 minutes"),
            ("metadata", json!({"a": "b", "c": ""}), "a = b, c = none"),
            ("label", json!("a\r\n\u{202e}<b>"), "a <b>"),
            ("description", json!(null), "none"),
        ] {
            assert_eq!(words(member, &value), expected, "{member} {value}");
        }
        let many: Vec<String> = (0..23).map(|at| at.to_string()).collect();
        assert!(words("products", &json!(many)).ends_with("18, 19, and 3 more"));
    }

    #[test]
    fn changes_come_in_the_order_of_the_members() {
        let facts =
            json!({"changed": {"products": {"old": ["gst"], "new": []}, "label": {"old": "a", "new": "b"}}});
        let changes = of(Facts(facts.as_object().unwrap()));
        let named: Vec<_> = changes.iter().map(|change| (change.what, change.before.as_str())).collect();
        assert_eq!(named, [("Label", "a"), ("Products", "gst")]);
    }
}
