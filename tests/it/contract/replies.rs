//! Makes the running service send every reply that `openapi.yaml` describes, and checks that each is as described.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value;

use super::provoke::provoke;
use super::reply::{documented_headers, faults, json, media_type};
use super::world::World;
use crate::support::{CONTRACT, Operation, Reply};

/// The member that has the kind of a problem, and the one that has the kind of an OAuth error, each with the schema that lists
/// the kinds.
const KINDS: [(&str, &str); 2] = [("type", "Problem"), ("error", "OAuthError")];

/// The faults of the replies so far, and the kinds of errors that occurred.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    kinds: BTreeSet<String>,
}

impl Found {
    /// Records the replies of an operation to requests that should get `status`.
    fn take(&mut self, operation: &Operation, status: u16, replies: &[Reply]) {
        let documented = &operation.replies[&status];
        let mut note = |what: String| self.wrong.push(format!("{} {status}: {what}", operation.id));
        for reply in replies {
            if reply.status == status {
                faults(operation, reply).into_iter().for_each(&mut note);
            } else {
                note(format!("it answered {} {}", reply.status, reply.text()));
            }
            let body = json(reply).unwrap_or_default();
            self.kinds
                .extend(KINDS.iter().filter_map(|(member, _)| Some(body.get(member)?.as_str()?.to_owned())));
        }
        for (name, _) in documented_headers(documented) {
            if !replies.iter().any(|reply| reply.header(&name).is_some()) {
                note(format!("no reply had the header {name}"));
            }
        }
        for media_type in
            documented.get("content").and_then(Value::as_object).into_iter().flat_map(|types| types.keys())
        {
            if !replies.iter().any(|reply| self::media_type(reply) == media_type) {
                note(format!("no reply had the media type {media_type}"));
            }
        }
    }
}

#[tokio::test]
async fn every_documented_reply_occurs_and_is_as_described() {
    let mut found = Found::default();
    let of_status = |is: fn(u16) -> bool| {
        let all = CONTRACT.operations.iter();
        all.flat_map(|operation| operation.replies.keys().map(move |status| (operation, *status)))
            .filter(move |(_, status)| is(*status))
    };

    let world = World::with("").await;
    for (operation, status) in of_status(|status| !matches!(status, 408 | 503)) {
        found.take(operation, status, &provoke(&world, operation, status).await);
    }
    world.lose_storage().await;
    for (operation, status) in of_status(|status| status == 503) {
        found.take(operation, status, &provoke(&world, operation, status).await);
    }
    world.app.stop().await;

    let hasty = World::with("server.request_timeout_seconds = 1").await;
    let provoked = of_status(|status| status == 408)
        .map(async |(operation, status)| (operation, status, provoke(&hasty, operation, status).await));
    for (operation, status, replies) in join_all(provoked).await {
        found.take(operation, status, &replies);
    }
    hasty.app.stop().await;

    for (member, schema) in KINDS {
        let kinds = &CONTRACT.target(&format!("#/components/schemas/{schema}"))["properties"][member]["enum"];
        for kind in kinds.as_array().unwrap() {
            if !found.kinds.contains(kind.as_str().unwrap()) {
                found.wrong.push(format!("no reply had the error {kind}"));
            }
        }
    }
    assert!(found.wrong.is_empty(), "{}", found.wrong.join("\n"));
}
