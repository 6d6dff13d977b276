//! The bytes of an entry of the audit tree: an event as compact JSON. They are stored as they were hashed, so that anybody can
//! hash them again without knowing how they were made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::audit::{Actor, AuditEvent};
use super::clock::{from_rfc3339, to_rfc3339};

/// An entry and its hash in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes, which are JSON in UTF-8.
    pub text: String,
    /// SHA-256 over 0x00 and the bytes (RFC 6962 §2.1).
    pub leaf: [u8; 32],
}

/// The entry of an event. Without the random `salt` the content of an entry whose bytes were deleted could be guessed and
/// confirmed by its hash. `is_imported`: the event was recorded before there was a tree.
pub fn entry_text(event: &AuditEvent, salt: [u8; 16], is_imported: bool) -> String {
    let mut members = json!({
        "salt": URL_SAFE_NO_PAD.encode(salt),
        "event_id": event.event_id,
        "at": to_rfc3339(event.at),
        "actor": event.actor.name,
        "action": event.action,
        "workspace_id": event.workspace_id,
        "client_id": event.client_id,
        "target": event.target,
        "request_id": event.actor.request_id,
        "source_ip": event.actor.source_ip,
        "detail": event.detail,
    });
    if let Some(members) = members.as_object_mut().filter(|_| is_imported) {
        members.insert("imported".to_owned(), Value::Bool(true));
    }
    members.to_string()
}

/// Reads the event of an entry; `None` if the text is not an entry, for example because its bytes were changed.
pub fn event_of(text: &str) -> Option<AuditEvent> {
    let mut members: Map<String, Value> = serde_json::from_str(text).ok()?;
    let optional = |members: &mut Map<String, Value>, name: &str| match members.remove(name)? {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text)),
        _ => None,
    };
    let text = |members: &mut Map<String, Value>, name: &str| optional(members, name)?;
    let Some(Value::Object(detail)) = members.remove("detail") else { return None };
    Some(AuditEvent {
        event_id: text(&mut members, "event_id")?,
        at: from_rfc3339(&text(&mut members, "at")?)?,
        actor: Actor {
            name: text(&mut members, "actor")?,
            request_id: optional(&mut members, "request_id")?,
            source_ip: optional(&mut members, "source_ip")?,
        },
        action: text(&mut members, "action")?,
        workspace_id: optional(&mut members, "workspace_id")?,
        client_id: optional(&mut members, "client_id")?,
        target: text(&mut members, "target")?,
        detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_event_and_the_salt_and_a_damaged_one_is_not_read() {
        let Value::Object(detail) = json!({"label": "old ✓ \u{0}", "n": 1}) else { unreachable!() };
        let event = AuditEvent {
            event_id: "e1".to_owned(),
            at: 1_790_000_000, // in 2026
            actor: Actor { source_ip: Some("203.0.113.7".to_owned()), ..Actor::system() },
            action: "client.created".to_owned(),
            workspace_id: Some("acme".to_owned()),
            client_id: None,
            target: "cl_1".to_owned(),
            detail,
        };
        let text = entry_text(&event, [7; 16], false);
        assert_eq!(event_of(&text), Some(event.clone()));
        assert!(text.contains(r#""salt":"BwcHBwcHBwcHBwcHBwcHBw""#) && !text.contains("imported"), "{text}");
        assert_ne!(entry_text(&event, [8; 16], false), text);
        let imported = entry_text(&event, [7; 16], true);
        // Compact JSON has no space after a colon.
        assert!(imported.contains(r#""imported":true"#) && !imported.contains(": "), "{imported}");
        for damaged in ["", "{}", "[]", &text.replace("\"at\"", "\"on\""), &text.replace("2026", "20x6")] {
            assert_eq!(event_of(damaged), None, "{damaged}");
        }
    }
}
