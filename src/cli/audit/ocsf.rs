//! Audit events as events of the Open Cybersecurity Schema Framework, version 1.6.0, for SIEMs: sign-ins and sign-outs as
//! Authentication (3002), other events about operators as Account Change (3001), everything else as Entity Management (3004).

use serde_json::{Map, Value, json};

use crate::ledger::ExportedEvent;

/// The version of the schema that events name and follow.
const VERSION: &str = "1.6.0";

const ACCOUNT_CHANGE: i64 = 3001;
const AUTHENTICATION: i64 = 3002;
const ENTITY_MANAGEMENT: i64 = 3004;
const OTHER: i64 = 99;

/// The OCSF event for an audit event. `issuer` identifies this service.
pub(super) fn event(event: &ExportedEvent, issuer: &str) -> Value {
    let (class, activity) = class_of(&event.action);
    let is_refused = event.action == "operator.sign_in_refused";
    // Category 3 is Identity & Access Management. Severity 1 is Informational, 2 is Low. Status 1 is Success, 2 is Failure.
    let mut members = json!({
        "category_uid": 3,
        "class_uid": class,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "time": event.at * 1_000,
        "severity_id": if is_refused { 2 } else { 1 },
        "status_id": if is_refused { 2 } else { 1 },
        "message": event.action,
        "metadata": metadata(event),
        "unmapped": {
            "detail": Value::Object(event.detail.clone()).to_string(),
            "log": event.log,
            "seq": event.seq,
            "leaf": event.leaf,
        },
    });
    let Some(members_of) = members.as_object_mut() else { return members };
    if activity == OTHER {
        members_of.insert("activity_name".to_owned(), event.action.clone().into());
    }
    add_parties(members_of, event, class, issuer);
    members
}

/// The `metadata` of an event. Events of the same request have the same `correlation_uid`.
fn metadata(event: &ExportedEvent) -> Value {
    let mut metadata = json!({
        "version": VERSION,
        "uid": event.event_id,
        "sequence": event.seq,
        "product": {"name": "Mintmark", "vendor_name": "Mintmark", "version": env!("CARGO_PKG_VERSION")},
    });
    if let (Some(members), Some(request)) = (metadata.as_object_mut(), &event.request_id) {
        members.insert("correlation_uid".to_owned(), request.clone().into());
    }
    metadata
}

/// The OCSF class of an action (`class_uid`), and its activity within that class (`activity_id`).
fn class_of(action: &str) -> (i64, i64) {
    let verb = action.rsplit_once('.').map_or("", |(_, verb)| verb);
    match action {
        "operator.signed_in" | "operator.sign_in_refused" => (AUTHENTICATION, 1),
        "operator.signed_out" | "operator.session_ended" => (AUTHENTICATION, 2),
        _ if action.starts_with("operator.") => match verb {
            "created" => (ACCOUNT_CHANGE, 1),
            "deleted" => (ACCOUNT_CHANGE, 6),
            _ => (ACCOUNT_CHANGE, OTHER),
        },
        _ => match verb {
            "created" => (ENTITY_MANAGEMENT, 1),
            "shown" => (ENTITY_MANAGEMENT, 2),
            "updated" => (ENTITY_MANAGEMENT, 3),
            "deleted" => (ENTITY_MANAGEMENT, 4),
            _ => (ENTITY_MANAGEMENT, OTHER),
        },
    }
}

/// Adds who acted (`actor`), on what (`entity` or `user`), from where (`src_endpoint`), and for Authentication events the
/// service that the user signs in to (`service`).
fn add_parties(members: &mut Map<String, Value>, event: &ExportedEvent, class: i64, issuer: &str) {
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("actor", actor_of(&event.actor));
    if class == ENTITY_MANAGEMENT {
        let noun = event.action.split_once('.').map_or("", |(noun, _)| noun);
        add("entity", json!({"uid": event.target, "type": noun}));
    } else {
        add("user", json!({"name": event.target, "uid": event.target}));
    }
    if class == AUTHENTICATION {
        add("service", json!({"name": "Mintmark console", "uid": issuer}));
    }
    if let Some(ip) = &event.source_ip {
        add("src_endpoint", json!({"ip": ip}));
    }
}

/// The `actor` of an event: a person is a `user`, a program an app.
fn actor_of(actor: &str) -> Value {
    let (kind, id) = actor.split_once(':').unwrap_or((actor, actor));
    match kind {
        // An API client, a sign-in provider, or Mintmark itself, for example in a background job.
        "client" | "oidc" | "system" => json!({"app_name": actor, "app_uid": id}),
        _ => json!({"user": {"name": actor, "uid": id}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_are_users_and_the_rest_are_apps() {
        for (actor, is_app) in [
            ("operator:019aaf2a", false),
            ("cli:ann", false),
            ("unknown", false),
            ("client:cl_1", true),
            ("oidc:corp", true),
            ("system", true),
        ] {
            let (actor, expected) = (actor_of(actor), if is_app { "app_name" } else { "user" });
            assert!(actor.get(expected).is_some(), "{actor}");
        }
    }

    #[test]
    fn an_action_has_a_class_and_an_activity_of_ocsf() {
        for (action, class, activity) in [
            ("operator.signed_in", 3002, 1),
            ("operator.sign_in_refused", 3002, 1),
            ("operator.signed_out", 3002, 2),
            ("operator.created", 3001, 1),
            ("operator.deleted", 3001, 6),
            ("operator.way_in_added", 3001, 99),
            ("client.created", 3004, 1),
            ("client.updated", 3004, 3),
            ("secret.shown", 3004, 2),
            ("secret.deleted", 3004, 4),
            ("access_tokens.revoked", 3004, 99),
        ] {
            assert_eq!(class_of(action), (class, activity), "{action}");
        }
    }
}
