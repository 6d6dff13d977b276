//! When a status list is signed again (`docs/revocation.md`): after a change of a status in it, when half of its lifetime is
//! over, and when its key is revoked. Otherwise it is served from memory, for a while even if the database does not answer.

use std::time::Duration;

use futures_util::future::join_all;
use mintmark::jobs;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::expect::Token;
use super::listed::{
    List, ask, client, idx_of, list_at, never_expiring, path_of, read_and_signed, replica, revoke, status_of,
    token,
};
use crate::support::{Engine, Reply, START, Statements, TestApp, on_both_engines};

on_both_engines!(
    a_revocation_shows_before_it_is_acknowledged,
    a_request_during_a_revocation_caches_no_old_list,
    unchanged_lists_come_from_memory,
    a_list_is_signed_once_for_all_requests,
    a_list_is_signed_before_it_is_requested,
    a_list_is_signed_again_when_half_of_its_lifetime_is_over,
    signing_again_needs_no_database,
    a_revocation_is_in_the_list_of_another_replica_within_a_second,
    a_gap_in_the_change_log_rebuilds_every_list,
    lists_are_served_for_the_ttl_after_the_last_poll,
    a_list_that_is_known_to_be_old_is_not_served,
    lists_of_a_revoked_key_are_signed_again,
    a_key_stays_published_for_as_long_as_its_last_list,
    without_a_key_no_list_is_signed,
);

/// An app with two tokens that never expire, in the same list, which has been requested.
async fn two_tokens(engine: Engine, settings: &str) -> (TestApp, Token, Token) {
    let app = TestApp::start_with(engine, settings).await;
    let admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let (one, other) = (token(&app, &client).await, token(&app, &client).await);
    assert_eq!(path_of(&one), path_of(&other));
    assert_eq!(status_of(&app, &one).await, 0);
    (app, one, other)
}

async fn a_revocation_shows_before_it_is_acknowledged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let mut etags = Vec::new();
    for _ in 0..20 {
        let token = token(&app, &client).await;
        let before = list_at(&app, &path_of(&token)).await;
        revoke(&app, &token).await;
        let after = list_at(&app, &path_of(&token)).await;
        assert_eq!((before.status(idx_of(&token)), after.status(idx_of(&token))), (0, 1));
        let known = app.request(Method::GET, &path_of(&token)).header("if-none-match", before.etag());
        assert_eq!(Reply::to(known).await.status, 200);
        etags.extend([before.etag().to_owned(), after.etag().to_owned()]);
    }
    // The first tag, and a new one after each of the 20 revocations.
    etags.dedup();
    assert_eq!(etags.len(), 21);
    app.stop().await;
}

async fn a_request_during_a_revocation_caches_no_old_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let mut tokens = Vec::new();
    for _ in 0..15 {
        tokens.push(token(&app, &client).await);
    }
    let path = path_of(&tokens[0]);
    let asking = async {
        loop {
            join_all((0..4).map(|_| ask(&app, &path))).await;
        }
    };
    let revoking = async {
        for token in &tokens {
            revoke(&app, token).await;
            assert_eq!(status_of(&app, token).await, 1);
        }
    };
    tokio::select! {
        () = asking => {}
        () = revoking => {}
    }
    let list = list_at(&app, &path).await;
    assert!(tokens.iter().all(|token| list.status(idx_of(token)) == 1));
    app.stop().await;
}

async fn unchanged_lists_come_from_memory(engine: Engine) {
    let (app, one, _) = two_tokens(engine, "").await;
    let first = ask(&app, &path_of(&one)).await;
    let before = read_and_signed(&app);
    for _ in 0..10 {
        assert_eq!(ask(&app, &path_of(&one)).await.comparable(), first.clone().comparable());
        app.clock.advance(10);
    }
    assert_eq!(read_and_signed(&app), before);
    let text = app.metrics();
    for line in ["mintmark_status_lists_read_total 1\n", "mintmark_status_lists_signed_total 1\n"] {
        assert!(text.contains(line), "{line}{text}");
    }
    app.stop().await;
}

/// Statements can be recorded only on PostgreSQL.
#[tokio::test]
async fn the_first_request_reads_a_list_once() {
    let app = TestApp::start(Engine::Postgres).await;
    let admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let path = path_of(&token(&app, &client).await);
    let number: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let lists = &app.core.services.status_lists;
    let (list, statements) = Statements::during(lists.get(number)).await;
    assert!(list.unwrap().is_some());
    let reading = statements.iter().filter(|sql| sql.contains("status_bits"));
    assert_eq!(reading.count(), 1, "{statements:?}");
    // A number without a list takes no memory.
    assert!(lists.get(4711).await.unwrap().is_none());
    assert!(!format!("{lists:?}").contains("4711"), "{lists:?}");
    app.stop().await;
}

async fn a_list_is_signed_once_for_all_requests(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let list = path_of(&token(&app, &client).await);
    for times in 1..4 {
        let replies = join_all((0..30).map(|_| ask(&app, &list))).await;
        assert!(replies.iter().all(|reply| reply.status == 200 && reply.body == replies[0].body));
        assert_eq!(read_and_signed(&app), (times, times));
        let path = format!("/v1/api-clients/{}", client.client_id);
        let status = if times % 2 == 1 { "disabled" } else { "active" };
        assert_eq!(admin.patch(&path, &json!({"status": status})).await.status(), 200);
    }
    app.stop().await;
}

async fn a_list_is_signed_before_it_is_requested(engine: Engine) {
    let (app, one, other) = two_tokens(engine, "").await;
    assert_eq!(read_and_signed(&app), (1, 1));
    revoke(&app, &one).await;
    // The background job may sign the list first; then this call finds it done.
    app.core.services.status_lists.refresh().await.unwrap();
    assert_eq!(read_and_signed(&app), (2, 2));
    assert_eq!(status_of(&app, &one).await, 1);
    assert_eq!(read_and_signed(&app), (2, 2));
    // The background job signs the list without a request, and without a call of this test.
    revoke(&app, &other).await;
    let ahead = async {
        while read_and_signed(&app) == (2, 2) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), ahead).await.expect("the list to be signed before a request");
    assert_eq!(status_of(&app, &other).await, 1);
    assert_eq!(read_and_signed(&app), (3, 3));
    app.stop().await;
}

fn lst(list: &List) -> &serde_json::Value {
    &list.claims["status_list"]["lst"]
}

async fn a_list_is_signed_again_when_half_of_its_lifetime_is_over(engine: Engine) {
    let (app, one, _) = two_tokens(engine, "").await;
    let path = path_of(&one);
    let first = list_at(&app, &path).await;
    app.clock.advance(1799);
    assert_eq!(list_at(&app, &path).await.reply.body, first.reply.body);
    app.clock.advance(1);
    let second = list_at(&app, &path).await;
    assert_eq!((first.iat(), second.iat()), (START, START + 1800));
    assert_eq!(second.claims["exp"], START + 1800 + 3600);
    assert_ne!(second.etag(), first.etag());
    // The list was signed again, but not read again.
    assert_eq!(lst(&second), lst(&first));
    assert_eq!(read_and_signed(&app), (1, 2));
    // After the clock is set back, no list is served whose `iat` is ahead of the clock.
    app.clock.leap(-60);
    assert_eq!(list_at(&app, &path).await.iat(), START + 1740);
    app.stop().await;
}

async fn signing_again_needs_no_database(engine: Engine) {
    let (app, one, other) = two_tokens(engine, "status_lists.ttl_seconds = 3600").await;
    revoke(&app, &other).await;
    let first = list_at(&app, &path_of(&one)).await;
    app.database.go_away().await;
    app.clock.advance(1800);
    let second = list_at(&app, &path_of(&one)).await;
    assert_eq!(second.iat(), START + 1800);
    assert_eq!(lst(&second), lst(&first));
    assert_eq!((second.status(idx_of(&one)), second.status(idx_of(&other))), (0, 1));
    app.database.come_back().await;
    app.stop().await;
}

async fn a_revocation_is_in_the_list_of_another_replica_within_a_second(engine: Engine) {
    let (app, one, other) = two_tokens(engine, "").await;
    let second = replica(&app, "").await;
    for token in [&one, &other] {
        assert_eq!(status_of(&second, token).await, 0);
        revoke(&app, token).await;
        app.clock.advance(1);
        assert_eq!(status_of(&second, token).await, 1);
    }
    second.stop().await;
    app.stop().await;
}

async fn a_gap_in_the_change_log_rebuilds_every_list(engine: Engine) {
    let (app, one, _) = two_tokens(engine, "").await;
    revoke(&app, &one).await;
    assert_eq!(status_of(&app, &one).await, 1);
    // Another process writes to a list and then raises the counter, and the change log has no entry about it.
    let cleared = match engine {
        Engine::Sqlite => "UPDATE status_bits SET bits = zeroblob(1024)",
        Engine::Postgres => "UPDATE status_bits SET bits = decode(repeat('00', 1024), 'hex')",
    };
    app.database.execute(cleared).await;
    app.clock.advance(1);
    assert_eq!(status_of(&app, &one).await, 1);
    app.database.execute("UPDATE service_state SET change_seq = change_seq + 1").await;
    app.clock.advance(1);
    assert_eq!(status_of(&app, &one).await, 0);
    app.stop().await;
}

#[track_caller]
fn unavailable(reply: &Reply) {
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json()["error"], "temporarily_unavailable");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!((reply.header("etag"), reply.header("access-control-allow-origin")), (None, Some("*")));
}

async fn lists_are_served_for_the_ttl_after_the_last_poll(engine: Engine) {
    for ttl in [60, 2] {
        let (app, one, _) = two_tokens(engine, &format!("status_lists.ttl_seconds = {ttl}")).await;
        let path = path_of(&one);
        let first = ask(&app, &path).await;
        let known = || app.request(Method::GET, &path).header("if-none-match", first.header("etag").unwrap());
        app.database.go_away().await;
        // A request polls if the last poll is older than 900 ms. These polls fail.
        for millis in [0, 901, ttl * 1000 - 901] {
            app.clock.advance_millis(millis);
            assert_eq!(ask(&app, &path).await.comparable(), first.clone().comparable());
            assert_eq!(Reply::to(known()).await.status, 304);
        }
        // A list that is not cached gets 503, and so does the list of lists.
        unavailable(&ask(&app, "/oauth2/status-lists/1").await);
        unavailable(&ask(&app, "/oauth2/status-lists").await);
        app.clock.advance_millis(1);
        unavailable(&ask(&app, &path).await);
        unavailable(&Reply::to(known()).await);
        app.database.come_back().await;
        assert_eq!(ask(&app, &path).await.comparable(), first.clone().comparable());
        app.stop().await;
    }
}

async fn a_list_that_is_known_to_be_old_is_not_served(engine: Engine) {
    let (app, one, _) = two_tokens(engine, "").await;
    revoke(&app, &one).await;
    app.database.go_away().await;
    // If the list was not built between the revocation and the outage, the reply is 503.
    let reply = ask(&app, &path_of(&one)).await;
    if reply.status == 200 {
        assert_eq!(status_of(&app, &one).await, 1);
    } else {
        unavailable(&reply);
    }
    app.database.come_back().await;
    assert_eq!(status_of(&app, &one).await, 1);
    app.stop().await;
}

async fn lists_of_a_revoked_key_are_signed_again(engine: Engine) {
    let (app, one, _) = two_tokens(engine, "").await;
    let path = path_of(&one);
    let other = replica(&app, "").await;
    let first = list_at(&app, &path).await;
    let theirs = list_at(&other, &path).await;
    assert_eq!(first.kid, theirs.kid);
    let services = app.core.services.clone();
    let caller = mintmark::kernel::Manager::command_line();
    let any = mintmark::kernel::Precondition::None;
    services.signing.delete_signing_key(&caller, &first.kid, true, &any).await.unwrap();
    // `list_at` verifies the list with the keys that are published now.
    let second = list_at(&app, &path).await;
    assert_ne!(second.kid, first.kid);
    assert_eq!(second.status(idx_of(&one)), 0);
    app.clock.advance(1);
    assert_eq!(list_at(&other, &path).await.kid, second.kid);
    other.stop().await;
    app.stop().await;
}

async fn a_key_stays_published_for_as_long_as_its_last_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let path = path_of(&token(&app, &never).await);
    // The new key signs from 900 s on (`keys.pending_seconds`).
    admin.create("/v1/signing-keys", &json!({"alg": "ES256"})).await;
    app.clock.advance(899);
    let last = list_at(&app, &path).await;
    assert_eq!(last.iat(), START + 899);
    app.clock.advance(1);
    jobs::housekeeping_once(&app.core.services).await;
    let published = async |kid: &str| {
        let keys = Reply::of(app.get("/.well-known/jwks.json").await).await.json();
        keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid)
    };
    // The list signed by the old key is still valid; the next one is signed by the new key.
    assert_eq!(list_at(&app, &path).await.kid, last.kid);
    app.clock.advance(1799);
    let next = list_at(&app, &path).await;
    assert_ne!(next.kid, last.kid);
    app.clock.advance(1799);
    jobs::housekeeping_once(&app.core.services).await;
    let end = last.claims["exp"].as_i64().unwrap();
    assert_eq!(app.core.services.clock().now(), end - 1);
    assert!(published(&last.kid).await);
    // When nothing that the old key signed is valid any more, the key is removed.
    app.clock.advance(2 * 86_400);
    jobs::housekeeping_once(&app.core.services).await;
    assert!(!published(&last.kid).await);
    assert_ne!(list_at(&app, &path).await.kid, last.kid);
    app.stop().await;
}

async fn without_a_key_no_list_is_signed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let hour = client(&admin, json!({})).await;
    let (known, unknown) = (path_of(&token(&app, &never).await), path_of(&token(&app, &hour).await));
    let first = list_at(&app, &known).await;
    app.database
        .execute(
            "UPDATE signing_keys SET phase = 'retiring', sealed_private = NULL, retired_at = 1790000000
                WHERE use_for = 'expiring';
            UPDATE service_state SET change_seq = change_seq + 1;
            INSERT INTO change_log (seq, kind, id) SELECT change_seq, 'signing_keys', '' FROM service_state",
        )
        .await;
    app.clock.advance(1);
    // A signed list is used while its key is published, and for at most half of its lifetime.
    assert_eq!(list_at(&app, &known).await.reply.body, first.reply.body);
    unavailable(&ask(&app, &unknown).await);
    app.clock.advance(1799);
    unavailable(&ask(&app, &known).await);
    let named = Reply::of(app.get("/oauth2/status-lists").await).await;
    assert_eq!(named.status, 200);
    app.stop().await;
}
