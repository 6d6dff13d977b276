//! Tokens that are recorded at the same time share durable commits. A token that is refused does not affect the others of its
//! group. An error of the database fails them all.

use futures_util::future::join_all;
use mintmark::model::client::ApiClient;
use mintmark::model::reach::Reach;
use mintmark::storage::{Change, Storage, Tx};
use serde_json::json;

use super::expect::{GRANT, issued, refused, reply_as};
use crate::support::{Administrator, Credentials, Engine, START, TestApp, on_both_engines, until};

on_both_engines!(
    tokens_requested_at_once_share_a_commit,
    a_token_that_is_not_allowed_does_not_block_others,
    tokens_that_replace_others_share_a_commit_with_those_that_do_not,
    when_a_group_fails_every_request_gets_503_and_no_token_is_recorded,
);

/// A client of `platform` whose tokens never expire, with one token issued, so that slots are leased.
async fn never_expiring(app: &TestApp, admin: &Administrator<'_>) -> Credentials {
    let more = json!({"products": ["gst"], "token_expiry": {"mode": "never"}});
    let (client, _) = admin.client("platform", more).await;
    issued(&reply_as(app, &client, GRANT).await);
    client
}

/// Locks the client's row, so that no token of it can be recorded until the transaction ends.
async fn hold(storage: &Storage, client: &Credentials) -> (Tx, ApiClient) {
    let mut tx = storage.begin().await.unwrap();
    let row = tx.lock_client(&Reach::Platform, &client.client_id).await.unwrap().unwrap();
    (tx, row)
}

/// Returns when at least `count` tokens wait to be recorded.
async fn until_waiting(app: &TestApp, count: u64) {
    let tokens = &app.core.services.tokens;
    until("tokens wait to be recorded", async || tokens.tokens_being_recorded() >= count).await;
}

async fn tokens_requested_at_once_share_a_commit(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = never_expiring(&app, &admin).await;
    let (tokens, commits) = app.core.services.tokens.recorded_tokens_and_commits();
    let storage = app.database.open().await;
    let (tx, _) = hold(&storage, &client).await;
    let asking = join_all((0..40).map(|_| reply_as(&app, &client, GRANT)));
    let holding = async {
        until_waiting(&app, 40).await;
        tx.commit().await.unwrap();
    };
    let (replies, ()) = tokio::join!(asking, holding);
    for reply in &replies {
        issued(reply);
    }
    // The first token is already being recorded when the others queue. On PostgreSQL it is set aside and does not delay the
    // queue, so the others are recorded in as many groups as they arrive in: a few.
    let (tokens_now, commits_now) = app.core.services.tokens.recorded_tokens_and_commits();
    assert_eq!(tokens_now - tokens, 40);
    let most = if engine == Engine::Sqlite { 2 } else { 10 };
    assert!(commits_now - commits <= most, "{} commits", commits_now - commits);
    let text = app.metrics();
    assert!(text.contains(&format!("mintmark_recorded_tokens_total {tokens_now}\n")), "{text}");
    assert!(text.contains(&format!("mintmark_recorded_token_commits_total {commits_now}\n")), "{text}");
    assert!(text.contains("mintmark_tokens_being_recorded 0\n"), "{text}");
    let rows = app.database.session().await.number("SELECT COUNT(*) FROM access_tokens").await;
    assert_eq!(rows, 41);
    app.stop().await;
}

async fn a_token_that_is_not_allowed_does_not_block_others(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (active, disabled) = (never_expiring(&app, &admin).await, never_expiring(&app, &admin).await);
    let storage = app.database.open().await;
    let (mut tx, row) = hold(&storage, &disabled).await;
    let asking = async {
        let mut asking = Vec::new();
        for _ in 0..10 {
            asking.push(reply_as(&app, &active, GRANT));
            asking.push(reply_as(&app, &disabled, GRANT));
        }
        join_all(asking).await
    };
    let disabling = async {
        // On PostgreSQL only the row of `disabled` is locked, so tokens of `active` may be recorded already.
        until_waiting(&app, 10).await;
        tx.update_client(&ApiClient { disabled_at: Some(START), ..row }).await.unwrap();
        tx.changed(Change::Client(disabled.client_id.clone()));
        tx.commit().await.unwrap();
    };
    let (replies, ()) = tokio::join!(asking, disabling);
    for pair in replies.chunks(2) {
        issued(&pair[0]);
        refused(&pair[1], 401, "invalid_client");
    }
    let rows = format!("SELECT COUNT(*) FROM access_tokens WHERE client_id = '{}'", disabled.client_id);
    assert_eq!(app.database.session().await.number(&rows).await, 1);
    app.stop().await;
}

async fn tokens_that_replace_others_share_a_commit_with_those_that_do_not(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let mut clients = Vec::new();
    for mode in ["many", "replace", "many", "replace", "many"] {
        let more = json!({"products": ["gst"], "token_expiry": {"mode": "never"}, "active_tokens": mode});
        clients.push(admin.client("platform", more).await.0);
        issued(&reply_as(&app, clients.last().unwrap(), GRANT).await);
    }
    let (_, commits) = app.core.services.tokens.recorded_tokens_and_commits();
    let storage = app.database.open().await;
    // A group is sorted by client id, so the tokens of this client come first.
    let first = clients.iter().min_by_key(|client| &client.client_id).unwrap();
    let (tx, _) = hold(&storage, first).await;
    let asking = join_all((0..15).map(|n| reply_as(&app, &clients[n % 5], GRANT)));
    let holding = async {
        // On PostgreSQL only the three tokens of the held client wait.
        until_waiting(&app, 3).await;
        tx.commit().await.unwrap();
    };
    let (replies, ()) = tokio::join!(asking, holding);
    for reply in &replies {
        issued(reply);
    }
    assert!(app.core.services.tokens.recorded_tokens_and_commits().1 - commits < 15);
    // Four tokens of each client with `many`, one of each with `replace`.
    let live = "SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL";
    assert_eq!(app.database.session().await.number(live).await, 3 * 4 + 2);
    app.stop().await;
}

/// A transaction has locked the row of one client and needs that of another, while tokens of both are requested. No group
/// locks the row of one client while it waits for that of another, so there is no deadlock. SQLite has no row locks.
#[tokio::test]
async fn a_group_does_not_deadlock_with_another_transaction() {
    let app = TestApp::start(Engine::Postgres).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let mut clients = [never_expiring(&app, &admin).await, never_expiring(&app, &admin).await];
    clients.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    let [one, other] = &clients;
    let storage = app.database.open().await;
    let ((first, _), (mut work, _)) = (hold(&storage, one).await, hold(&storage, other).await);
    let ahead = reply_as(&app, one, GRANT);
    let group = async {
        until_waiting(&app, 1).await;
        join_all([one, other, other].map(|client| reply_as(&app, client, GRANT))).await
    };
    let working = async {
        until_waiting(&app, 4).await;
        first.commit().await.unwrap();
        let tokens = &app.core.services.tokens;
        until("the first token is recorded", async || tokens.tokens_being_recorded() <= 3).await;
        app.database.someone_waits().await;
        work.lock_client(&Reach::Platform, &one.client_id).await.unwrap().unwrap();
        work.commit().await.unwrap();
    };
    let (ahead, group, ()) = tokio::join!(ahead, group, working);
    for reply in group.iter().chain([&ahead]) {
        issued(reply);
    }
    let rows = app.database.session().await.number("SELECT COUNT(*) FROM access_tokens").await;
    assert_eq!(rows, 2 + 4);
    app.stop().await;
}

async fn when_a_group_fails_every_request_gets_503_and_no_token_is_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = never_expiring(&app, &admin).await;
    app.database.go_away().await;
    for reply in join_all((0..10).map(|_| reply_as(&app, &client, GRANT))).await {
        refused(&reply, 503, "temporarily_unavailable");
    }
    app.database.come_back().await;
    assert_eq!(app.database.session().await.number("SELECT COUNT(*) FROM access_tokens").await, 1);
    issued(&reply_as(&app, &client, GRANT).await);
    app.stop().await;
}
