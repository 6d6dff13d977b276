//! Audit events in plain words: what was done, by whom, and the facts of it.

use serde_json::{Map, Value};

use super::actions::delivery_subject;
pub(super) use super::event_names::Names;
pub(super) use super::facts::facts;
use super::facts::member;
use super::moment::count;
use crate::model::audit::{Action, AuditEvent};
use crate::model::delivery::Channel;

/// How the audit trail names an account that does not exist, and somebody who is not signed in.
const UNKNOWN: &str = "unknown";

/// What was done, in one sentence without its author: `created the API client SAP production`.
pub(super) fn sentence(event: &AuditEvent, names: &Names) -> String {
    let detail = &event.detail;
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| detail.get(name).and_then(Value::as_i64).unwrap_or_default();
    let Some(action) = Action::ALL.into_iter().find(|action| action.as_str() == event.action) else {
        return event.action.clone();
    };
    let client = event.client_id.as_deref().map(|id| {
        let label = if text("label").is_empty() {
            names.clients.get(id).map_or(id, |name| &name.label)
        } else {
            text("label")
        };
        format!("the API client {label}")
    });
    let client = client.unwrap_or_else(|| format!("the API client {}", text("label")));
    let operator = || match names.operators.get(&event.target) {
        Some(name) => name.clone(),
        None if event.target == UNKNOWN => "an unknown account".to_owned(),
        None => or(text("email"), &event.target),
    };
    let with_name = |done: &str| format!("{done} {}", or(text("name"), &event.target));
    let revoked = |before: &str| match number("revoked_tokens") {
        0 => before.to_owned(),
        tokens => format!("{before}; {} revoked with it", count(tokens, "token")),
    };
    let status = status_change(event);
    match action {
        Action::ProductCreated => with_name("created the product"),
        Action::ProductUpdated => format!("changed the product {}: {}", event.target, changed(event)),
        Action::ProductDeleted => with_name("deleted the product"),
        Action::WorkspaceCreated => with_name("created the workspace"),
        Action::WorkspaceUpdated => match status {
            Some("suspended") => format!("suspended the workspace {}", event.target),
            Some(_) => format!("made the workspace {} active again", event.target),
            None => format!("changed the workspace {}: {}", event.target, changed(event)),
        },
        Action::WorkspaceDeleted => with_name("deleted the workspace"),
        Action::ClientCreated => format!("created {client}"),
        Action::ClientUpdated => match status {
            Some("disabled") => format!("disabled {client}"),
            Some(_) => format!("enabled {client}"),
            None => revoked(&format!("changed {client}: {}", changed(event))),
        },
        Action::ClientDeleted => revoked(&format!("deleted {client}")),
        Action::SecretCreated => format!("added a secret to {client}{}", ending(text("last_four"))),
        Action::SecretShown => secret_shown(event, &client, &operator()),
        Action::SecretDeleted => format!("deleted a secret of {client}{}", ending(text("last_four"))),
        Action::SecretFirstUsed | Action::SecretExpiring | Action::ClientExpiring | Action::TokenExpiring => {
            use_or_reminder(action, &client, detail)
        }
        Action::TokenCreated => format!("generated an access token for {client}"),
        Action::TokenRevoked => format!("revoked an access token of {client}"),
        Action::TokensRevoked => tokens_revoked(event, &client),
        Action::KeyCreated => format!("made or imported the signing key {}", event.target),
        Action::KeyActivated => format!("began to sign with the key {}", event.target),
        Action::KeyRetired => format!("stopped signing with the key {}", event.target),
        Action::KeyGone => format!("took the key {} out of the published keys", event.target),
        Action::KeyDeleted => revoked(&format!("deleted the signing key {}", event.target)),
        Action::DatabaseRestored => "restored the database from a backup".to_owned(),
        Action::AuditLogBegun => format!("began the audit log {}", event.target),
        Action::MasterKeyReplaced => "replaced the master key".to_owned(),
        Action::OperatorCreated => format!("invited the operator {}", or(text("name"), &operator())),
        Action::OperatorUpdated => match status {
            Some("disabled") => format!("disabled the operator {}", operator()),
            Some(_) => format!("enabled the operator {}", operator()),
            None => format!("changed the operator {}: {}", operator(), changed(event)),
        },
        Action::OperatorDeleted => format!("deleted the operator {}", or(text("name"), &operator())),
        Action::SetupLinkCreated => format!("made a setup link for {}", operator()),
        Action::SignedIn => "signed in".to_owned(),
        Action::SignInRefused => match number("count") {
            0 | 1 => format!("could not sign in as {}", operator()),
            times => format!("could not sign in as {}, {times} times", operator()),
        },
        Action::SignedOut => "signed out".to_owned(),
        Action::WayInAdded => format!("added a way to sign in for {}", operator()),
        Action::WayInRemoved => format!("removed a way to sign in of {}", operator()),
        Action::SessionEnded => format!("ended sessions of {}", operator()),
        Action::WebhookCreated => format!("created a webhook to {}", text("url")),
        Action::WebhookUpdated => match status {
            Some("disabled") => format!("disabled the webhook {}", event.target),
            Some(_) => format!("enabled the webhook {}", event.target),
            None => format!("changed the webhook {}: {}", event.target, changed(event)),
        },
        Action::WebhookDeleted => format!("deleted the webhook to {}", text("url")),
        Action::WebhookKeysReplaced => format!("replaced the keys of the webhook {}", event.target),
        Action::WebhookDisabled => format!("disabled the webhook to {}, which fails", text("url")),
        Action::DeliveryFailed => format!("gave up {}: {}", delivery(event), text("error")),
        Action::DeliveryResent => format!("asked to send {} again", delivery(event)),
    }
}

/// Which tokens were revoked at once. If there are many, each step has an event, with `part`, before that of the whole change.
fn tokens_revoked(event: &AuditEvent, client: &str) -> String {
    let tokens = event.detail.get("revoked_tokens").and_then(Value::as_i64).unwrap_or_default();
    let is_part = event.detail.get("part").and_then(Value::as_bool).unwrap_or_default();
    match (event.client_id.is_some(), is_part) {
        (true, false) => format!("revoked all access tokens of {client}"),
        (true, true) => {
            format!("revoked {} of {client}, as a step of a larger change", count(tokens, "access token"))
        }
        (false, false) => {
            format!("revoked {} of the signing key {} in all", count(tokens, "token"), event.target)
        }
        (false, true) => {
            format!(
                "revoked {} of the signing key {}, as a step of its deletion",
                count(tokens, "token"),
                event.target
            )
        }
    }
}

/// Which secret was given out, and how.
fn secret_shown(event: &AuditEvent, client: &str, operator: &str) -> String {
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let secret = match text("what") {
        "client_secret" => format!("a secret of {client}"),
        "access_token" => format!("an access token of {client}"),
        "signing_secret" => format!("the keys of the webhook {}", event.target),
        "setup_link" => format!("the setup link of {operator}"),
        _ => format!("a secret of {}", event.target),
    };
    match text("as") {
        "download" => format!("downloaded {secret}"),
        "reply" => format!("was sent {secret} again"),
        _ => format!("was shown {secret}"),
    }
}

/// Which delivery an event is about.
fn delivery(event: &AuditEvent) -> String {
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let subject = delivery_subject(text("kind"));
    if text("channel") == Channel::Mail.as_str() {
        format!("the mail \u{201c}{subject}\u{201d} to {}", or(text("recipient"), "all contacts"))
    } else {
        format!("the request \u{201c}{subject}\u{201d} to the webhook {}", text("recipient"))
    }
}

/// Events that change nothing: the first use of a secret, a use from a new network, or a reminder that something will end.
fn use_or_reminder(action: Action, client: &str, detail: &Map<String, Value>) -> String {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_first = detail.get("is_first").and_then(Value::as_bool).unwrap_or_default();
    match action {
        Action::SecretExpiring => {
            format!("reminded that a secret of {client} will expire{}", ending(text("last_four")))
        }
        Action::ClientExpiring => format!("reminded that {client} will end"),
        Action::TokenExpiring => format!("reminded that an access token of {client} will expire"),
        _ if is_first => format!("used a secret of {client} for the first time{}", ending(text("last_four"))),
        _ => format!("used {client} from a new network, {}", text("network")),
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

fn ending(last_four: &str) -> String {
    if last_four.is_empty() { String::new() } else { format!(", the one that ends with {last_four}") }
}

/// The status that a change set, if it set nothing else.
fn status_change(event: &AuditEvent) -> Option<&str> {
    let changed = event.detail.get("changed")?.as_object()?;
    let only = changed.len() == 1;
    changed.get("status").filter(|_| only)?.get("new")?.as_str()
}

/// The names of the members that a change changed.
fn changed(event: &AuditEvent) -> String {
    let members = event.detail.get("changed").and_then(Value::as_object);
    let names: Vec<String> = members.into_iter().flatten().map(|(name, _)| member(name)).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Who did it, by the name that the audit trail has. `names` has only those that the reader may know.
pub(super) fn actor(name: &str, names: &Names) -> String {
    author(name, names, |words| {
        let mut chars = words.chars();
        chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
    })
}

/// Whether only the id of an event's author can be shown: the author has been deleted, or the reader may not know the name.
pub(super) fn is_unnamed(name: &str, names: &Names) -> bool {
    match name.split_once(':') {
        Some(("operator", id)) => !names.operators.contains_key(id),
        Some(("client", id)) => !names.clients.contains_key(id),
        _ => false,
    }
}

/// The author inside a sentence: `by the command line`.
pub(super) fn by(name: &str, names: &Names) -> String {
    format!("by {}", author(name, names, str::to_owned))
}

/// An author by name. If there is no name, `describe` gets words such as `the command line`, and may change their first letter.
fn author(name: &str, names: &Names, describe: impl Fn(&str) -> String) -> String {
    match (name, name.split_once(':')) {
        ("cli", _) => describe("the command line"),
        (_, Some(("cli", user))) => format!("{user} at the command line"),
        ("system", _) => "Mintmark itself".to_owned(),
        (UNKNOWN, _) => describe("somebody"),
        (_, Some(("oidc", provider))) => describe(&format!("the sign-in provider {provider}")),
        (_, Some(("operator", id))) => {
            names.operators.get(id).cloned().unwrap_or_else(|| describe("another operator"))
        }
        (_, Some(("client", id))) => match names.clients.get(id) {
            Some(client) => format!("API client {}", client.label),
            None => describe("another API client"),
        },
        (other, _) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::console::actions::action_name;
    use crate::model::audit::Actor;

    fn event(action: Action, target: &str, detail: Value) -> AuditEvent {
        let Value::Object(detail) = detail else { panic!("an object") };
        AuditEvent {
            event_id: String::new(),
            at: 0,
            actor: Actor::system(),
            action: action.as_str().to_owned(),
            workspace_id: None,
            client_id: target.starts_with("cl_").then(|| target.to_owned()),
            target: target.to_owned(),
            detail,
        }
    }

    #[test]
    fn every_event_is_a_sentence() {
        let names = Names { operators: [("o1".to_owned(), "Ada".to_owned())].into(), ..Names::default() };
        for (action, target, detail, words) in [
            (Action::ClientCreated, "cl_1", json!({"label": "SAP"}), "created the API client SAP"),
            (Action::ClientCreated, "cl_1", json!({}), "created the API client cl_1"),
            (
                Action::SecretShown,
                "cl_1",
                json!({"what": "client_secret", "as": "page"}),
                "was shown a secret of the API client cl_1",
            ),
            (
                Action::SecretShown,
                "cl_1",
                json!({"what": "access_token", "as": "download"}),
                "downloaded an access token of the API client cl_1",
            ),
            (
                Action::SecretShown,
                "w1",
                json!({"what": "signing_secret", "as": "reply"}),
                "was sent the keys of the webhook w1 again",
            ),
            (
                Action::SecretShown,
                "o1",
                json!({"what": "setup_link", "as": "page"}),
                "was shown the setup link of Ada",
            ),
            (Action::SecretShown, "cl_9", json!({"what": null, "as": "page"}), "was shown a secret of cl_9"),
            (
                Action::ClientDeleted,
                "cl_1",
                json!({"label": "SAP", "revoked_tokens": 2}),
                "deleted the API client SAP; 2 tokens revoked with it",
            ),
            (
                Action::ClientUpdated,
                "cl_1",
                json!({"label": "SAP", "changed": {"status": {"old": "active", "new": "disabled"}}}),
                "disabled the API client SAP",
            ),
            (
                Action::WorkspaceUpdated,
                "acme",
                json!({"changed": {"name": {"old": "A", "new": "B"}, "never_expires_allowed": {"old": true, "new": false}}}),
                "changed the workspace acme: name, never expires allowed",
            ),
            (
                Action::SecretCreated,
                "cl_1",
                json!({"label": "SAP", "last_four": "x7Qa"}),
                "added a secret to the API client SAP, the one that ends with x7Qa",
            ),
            (
                Action::TokensRevoked,
                "cl_1",
                json!({"label": "SAP", "revoked_tokens": 3}),
                "revoked all access tokens of the API client SAP",
            ),
            (
                Action::TokensRevoked,
                "cl_1",
                json!({"label": "SAP", "revoked_tokens": 1000, "part": true}),
                "revoked 1000 access tokens of the API client SAP, as a step of a larger change",
            ),
            (
                Action::TokensRevoked,
                "k1",
                json!({"revoked_tokens": 1000, "part": true}),
                "revoked 1000 tokens of the signing key k1, as a step of its deletion",
            ),
            (
                Action::TokensRevoked,
                "k1",
                json!({"revoked_tokens": 1001}),
                "revoked 1001 tokens of the signing key k1 in all",
            ),
            (Action::OperatorCreated, "o1", json!({"name": "Ada"}), "invited the operator Ada"),
            (Action::SignInRefused, "o1", json!({"count": 3}), "could not sign in as Ada, 3 times"),
            (
                Action::SignInRefused,
                "unknown",
                json!({"count": 1}),
                "could not sign in as an unknown account",
            ),
        ] {
            assert_eq!(sentence(&event(action, target, detail), &names), words);
        }
        for action in Action::ALL {
            let said = sentence(&event(action, "x", json!({})), &names);
            assert!(!said.is_empty() && !action_name(action).is_empty(), "{action:?}");
            assert_ne!(said, action.as_str(), "there is no sentence, only the name of the action");
        }
    }

    #[test]
    fn authors_are_named_as_far_as_the_reader_may_know_them() {
        let names = Names { operators: [("o1".to_owned(), "Ada".to_owned())].into(), ..Names::default() };
        for (name, words, inside) in [
            ("cli", "The command line", "by the command line"),
            ("cli:root", "root at the command line", "by root at the command line"),
            ("system", "Mintmark itself", "by Mintmark itself"),
            ("unknown", "Somebody", "by somebody"),
            ("oidc:corp", "The sign-in provider corp", "by the sign-in provider corp"),
            ("operator:o1", "Ada", "by Ada"),
            ("operator:o2", "Another operator", "by another operator"),
            ("client:cl_9", "Another API client", "by another API client"),
        ] {
            assert_eq!((actor(name, &names).as_str(), by(name, &names).as_str()), (words, inside));
        }
    }
}
