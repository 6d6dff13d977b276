//! `active_tokens` with a number: a new token beyond that number revokes the oldest ones, also when many tokens are requested
//! at the same time or on two replicas. Only tokens from the token endpoint count.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, reply_as};
use super::listed::{client, replica, status_of, token};
use super::presenting::introspected;
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    one_token_too_many_revokes_the_oldest,
    of_fifty_at_once_the_configured_number_stays_active,
    of_fifty_on_two_replicas_the_configured_number_stays_active,
    by_default_at_most_twenty_never_expiring_tokens_are_active,
    expired_tokens_do_not_count,
    an_administrators_token_neither_counts_nor_is_revoked,
    a_lower_number_takes_effect_at_the_next_token,
    a_change_from_many_to_a_number_ends_stateless_tokens,
    a_change_from_a_number_to_replace_ends_all_tokens,
    active_tokens_defaults_by_the_token_expiry_and_does_not_change_with_it,
);

const AT_ONCE: usize = 50;

/// A client with at most `max` active tokens. They are valid for an hour, so they are recorded only because of that number.
async fn bounded(app: &TestApp, max: i64) -> (Administrator<'_>, Credentials) {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = client(&admin, json!({"active_tokens": max})).await;
    (admin, client)
}

/// Which of these tokens are active, by introspection and by their status list, which must agree.
async fn active(app: &TestApp, client: &Credentials, tokens: &[Token]) -> Vec<bool> {
    let mut active = Vec::new();
    for token in tokens {
        let answered = introspected(app, client, &token.text).await.json()["active"].as_bool().unwrap();
        assert_eq!(status_of(app, token).await, u8::from(!answered), "{}", token.claims);
        active.push(answered);
    }
    active
}

/// This many tokens of the client, requested one after another.
async fn some(app: &TestApp, client: &Credentials, count: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(token(app, client).await);
    }
    tokens
}

async fn patched(admin: &Administrator<'_>, client: &Credentials, change: Value) -> Value {
    let reply = admin.patch(&format!("/v1/api-clients/{}", client.client_id), &change).await;
    assert_eq!(reply.status(), 200, "{change}");
    reply.json().await.unwrap()
}

async fn one_token_too_many_revokes_the_oldest(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, client) = bounded(&app, 3).await;
    // The first five within one second, the others in later seconds.
    let mut tokens = some(&app, &client, 3).await;
    assert_eq!(active(&app, &client, &tokens).await, [true; 3]);
    tokens.extend(some(&app, &client, 2).await);
    assert_eq!(active(&app, &client, &tokens).await, [false, false, true, true, true]);
    for _ in 0..2 {
        app.clock.advance(1);
        tokens.push(token(&app, &client).await);
    }
    assert_eq!(active(&app, &client, &tokens[2..]).await, [false, false, true, true, true]);
    app.stop().await;
}

async fn of_fifty_at_once_the_configured_number_stays_active(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, client) = bounded(&app, 7).await;
    let replies = join_all((0..AT_ONCE).map(|_| reply_as(&app, &client, GRANT))).await;
    let tokens: Vec<Token> = replies.iter().map(issued).collect();
    let of_all = active(&app, &client, &tokens).await;
    assert_eq!(of_all.iter().filter(|active| **active).count(), 7);
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, 50);
    app.stop().await;
}

async fn of_fifty_on_two_replicas_the_configured_number_stays_active(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, client) = bounded(&app, 7).await;
    let other = replica(&app, "").await;
    let both = [&app, &other];
    let replies = join_all((0..AT_ONCE).map(|n| reply_as(both[n % 2], &client, GRANT))).await;
    let tokens: Vec<Token> = replies.iter().map(issued).collect();
    for app in both {
        app.core.services.ledger.poll().await.unwrap();
        let of_all = active(app, &client, &tokens).await;
        assert_eq!(of_all.iter().filter(|active| **active).count(), 7);
    }
    other.stop().await;
    app.stop().await;
}

async fn by_default_at_most_twenty_never_expiring_tokens_are_active(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = client(&admin, json!({"token_expiry": {"mode": "never"}})).await;
    let mut tokens = Vec::new();
    for _ in 0..101 {
        tokens.push(token(&app, &client).await);
    }
    let live = "SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL";
    assert_eq!(app.database.number(live).await, 20);
    // The last 20 of the 101 tokens are active, from index 81 on.
    assert_eq!(active(&app, &client, &tokens[79..83]).await, [false, false, true, true]);
    app.stop().await;
}

async fn expired_tokens_do_not_count(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = bounded(&app, 2).await;
    patched(&admin, &client, json!({"token_expiry": {"mode": "after", "seconds": 60}})).await;
    some(&app, &client, 2).await;
    app.clock.advance(61);
    let tokens = some(&app, &client, 2).await;
    assert_eq!(active(&app, &client, &tokens).await, [true, true]);
    let revoked = "SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NOT NULL";
    assert_eq!(app.database.number(revoked).await, 0);
    app.stop().await;
}

async fn an_administrators_token_neither_counts_nor_is_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = bounded(&app, 2).await;
    let path = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    let mut own = some(&app, &client, 2).await;
    let made: Value = admin.create(&path, &json!({})).await;
    assert_eq!(active(&app, &client, &own).await, [true, true]);
    own.extend(some(&app, &client, 3).await);
    assert_eq!(active(&app, &client, &own).await, [false, false, false, true, true]);
    let by_hand = made["access_token"].as_str().unwrap();
    assert_eq!(introspected(&app, &client, by_hand).await.json()["active"], true);
    app.stop().await;
}

async fn a_lower_number_takes_effect_at_the_next_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = bounded(&app, 5).await;
    let mut tokens = some(&app, &client, 5).await;
    let changed = patched(&admin, &client, json!({"active_tokens": 2})).await;
    assert_eq!((&changed["generation"], changed.get("revoked_tokens")), (&json!(1), None));
    assert_eq!(active(&app, &client, &tokens).await, [true; 5]);
    tokens.push(token(&app, &client).await);
    assert_eq!(active(&app, &client, &tokens).await, [false, false, false, false, true, true]);
    // Neither a higher number nor a change back to many ends any token.
    for more in [json!(3), json!("many")] {
        patched(&admin, &client, json!({"active_tokens": more})).await;
        tokens.push(token(&app, &client).await);
        assert!(active(&app, &client, &tokens[4..]).await.iter().all(|active| *active), "{more}");
    }
    app.stop().await;
}

async fn a_change_from_many_to_a_number_ends_stateless_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = bounded(&app, 1).await;
    patched(&admin, &client, json!({"active_tokens": "many"})).await;
    let stateless = token(&app, &client).await;
    // Tokens that are valid for more than a day are recorded.
    let longer = json!({"token_expiry": {"mode": "after", "seconds": 86_401}});
    patched(&admin, &client, longer).await;
    let mut recorded = some(&app, &client, 3).await;
    let changed = patched(&admin, &client, json!({"active_tokens": 2})).await;
    assert_eq!((&changed["generation"], &changed["revoked_tokens"]), (&json!(2), &json!(0)));
    assert_eq!(active(&app, &client, std::slice::from_ref(&stateless)).await, [false]);
    assert_eq!(active(&app, &client, &recorded).await, [true; 3]);
    recorded.push(token(&app, &client).await);
    assert_eq!(active(&app, &client, &recorded).await, [false, false, true, true]);
    app.stop().await;
}

async fn a_change_from_a_number_to_replace_ends_all_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = bounded(&app, 5).await;
    let tokens = some(&app, &client, 2).await;
    let changed = patched(&admin, &client, json!({"active_tokens": "replace"})).await;
    assert_eq!((&changed["generation"], &changed["revoked_tokens"]), (&json!(2), &json!(2)));
    assert_eq!(active(&app, &client, &tokens).await, [false, false]);
    app.stop().await;
}

async fn active_tokens_defaults_by_the_token_expiry_and_does_not_change_with_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (never, hour) = (json!({"mode": "never"}), json!({"mode": "after", "seconds": 3600}));
    for (more, default) in [
        (json!({}), json!("many")),
        (json!({"token_expiry": hour}), json!("many")),
        (json!({"token_expiry": never}), json!(20)),
        (json!({"token_expiry": never, "active_tokens": null}), json!(20)),
        (json!({"token_expiry": never, "active_tokens": "many"}), json!("many")),
        (json!({"token_expiry": never, "active_tokens": 1000}), json!(1000)),
    ] {
        let mut members = json!({"products": ["gst"]});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (_, made) = admin.client("platform", members).await;
        assert_eq!(made["active_tokens"], default, "{more}");
    }
    let client = client(&admin, json!({})).await;
    for (change, active_tokens) in [
        // A change of only the expiry does not change `active_tokens`.
        (json!({"token_expiry": never}), json!("many")),
        (json!({"active_tokens": null}), json!(20)),
        (json!({"token_expiry": hour}), json!(20)),
        (json!({"active_tokens": null}), json!("many")),
        (json!({"token_expiry": never, "active_tokens": null}), json!(20)),
    ] {
        assert_eq!(
            patched(&admin, &client, change.clone()).await["active_tokens"],
            active_tokens,
            "{change}"
        );
    }
    // The value in a reply can be sent back unchanged.
    let record = patched(&admin, &client, json!({"label": "R"})).await;
    let same = json!({"active_tokens": record["active_tokens"], "replace_grace_seconds": record["replace_grace_seconds"]});
    assert_eq!(patched(&admin, &client, same).await["updated_at"], record["updated_at"]);
    app.stop().await;
}
