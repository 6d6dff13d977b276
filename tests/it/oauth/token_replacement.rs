//! `active_tokens: "replace"`: a new token revokes the one before it, immediately or after a grace period, also when many
//! tokens are requested at the same time or on two replicas.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, reply_as};
use super::listed::{client, replica, status_of, token};
use super::presenting::introspected;
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    of_fifty_at_once_one_stays_live,
    of_fifty_on_two_replicas_one_stays_live,
    many_clients_that_request_at_once_on_two_replicas_all_get_tokens,
    a_grace_period_ends_on_time,
    a_second_replacement_does_not_extend_the_first_grace_period,
    an_administrators_token_replaces_and_is_replaced,
    switching_to_replace_revokes_and_switching_back_does_not,
);

const AT_ONCE: usize = 50;

/// A client with one live token at a time. Its tokens are valid for an hour, so they are recorded only because of `replace`.
async fn replacing(app: &TestApp, grace: i64) -> (Administrator<'_>, Credentials) {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = client(&admin, json!({"active_tokens": "replace", "replace_grace_seconds": grace})).await;
    (admin, client)
}

/// Whether a token is valid, by introspection and by its status list, which must agree.
async fn lives(app: &TestApp, client: &Credentials, token: &Token) -> bool {
    let answer = introspected(app, client, &token.text).await.json()["active"].as_bool().unwrap();
    assert_eq!(status_of(app, token).await, u8::from(!answer), "{}", token.claims);
    answer
}

/// How many of these tokens are valid.
async fn living(app: &TestApp, client: &Credentials, tokens: &[Token]) -> usize {
    let mut living = 0;
    for token in tokens {
        living += usize::from(lives(app, client, token).await);
    }
    living
}

async fn of_fifty_at_once_one_stays_live(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, client) = replacing(&app, 0).await;
    let replies = join_all((0..AT_ONCE).map(|_| reply_as(&app, &client, GRANT))).await;
    let tokens: Vec<Token> = replies.iter().map(issued).collect();
    assert_eq!(living(&app, &client, &tokens).await, 1);
    let live = "SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL";
    assert_eq!(app.database.number(live).await, 1);
    app.stop().await;
}

async fn of_fifty_on_two_replicas_one_stays_live(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, client) = replacing(&app, 0).await;
    let other = replica(&app, "").await;
    let both = [&app, &other];
    let replies = join_all((0..AT_ONCE).map(|n| reply_as(both[n % 2], &client, GRANT))).await;
    let tokens: Vec<Token> = replies.iter().map(issued).collect();
    for app in both {
        app.core.services.ledger.poll().await.unwrap();
        assert_eq!(living(app, &client, &tokens).await, 1);
    }
    other.stop().await;
    app.stop().await;
}

async fn many_clients_that_request_at_once_on_two_replicas_all_get_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, first) = replacing(&app, 0).await;
    let mut clients = vec![first];
    for _ in 1..8 {
        clients.push(client(&admin, json!({"active_tokens": "replace"})).await);
    }
    let other = replica(&app, "").await;
    for _ in 0..5 {
        let asking =
            [&app, &other].into_iter().flat_map(|app| clients.iter().map(move |client| (app, client)));
        for reply in join_all(asking.map(|(app, client)| reply_as(app, client, GRANT))).await {
            issued(&reply);
        }
    }
    other.stop().await;
    app.stop().await;
}

async fn a_grace_period_ends_on_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, client) = replacing(&app, 60).await;
    let old = token(&app, &client).await;
    let new = token(&app, &client).await;
    app.clock.advance(59);
    app.core.services.tokens.apply_due_changes().await.unwrap();
    assert!(lives(&app, &client, &old).await && lives(&app, &client, &new).await);
    app.clock.advance(1);
    // Introspection shows the end of the grace period immediately, even if the list does not show it yet.
    assert_eq!(introspected(&app, &client, &old.text).await.json(), json!({"active": false}));
    app.core.services.tokens.apply_due_changes().await.unwrap();
    assert!(!lives(&app, &client, &old).await && lives(&app, &client, &new).await);
    app.stop().await;
}

async fn a_second_replacement_does_not_extend_the_first_grace_period(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = replacing(&app, 60).await;
    let first = token(&app, &client).await;
    let second = token(&app, &client).await;
    app.clock.advance(40);
    let third = token(&app, &client).await;
    let of = async |tokens: [&Token; 3]| {
        app.core.services.tokens.apply_due_changes().await.unwrap();
        let [one, two, three] = tokens.map(|token| lives(&app, &client, token));
        [one.await, two.await, three.await]
    };
    let all = [&first, &second, &third];
    assert_eq!(of(all).await, [true, true, true]);
    app.clock.advance(20);
    assert_eq!(of(all).await, [false, true, true]);
    app.clock.advance(40);
    assert_eq!(of(all).await, [false, false, true]);
    // Without a grace period the next token also ends one that is in its grace period.
    let fourth = token(&app, &client).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    assert_eq!(admin.patch(&path, &json!({"replace_grace_seconds": 0})).await.status(), 200);
    let fifth = token(&app, &client).await;
    assert_eq!(of([&third, &fourth, &fifth]).await, [false, false, true]);
    app.stop().await;
}

async fn an_administrators_token_replaces_and_is_replaced(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client) = replacing(&app, 0).await;
    let path = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    let own = token(&app, &client).await;
    let made: Value = admin.create(&path, &json!({})).await;
    let by_hand = made["access_token"].as_str().unwrap();
    let is_active = async |text: &str| introspected(&app, &client, text).await.json()["active"] == true;
    assert!(!lives(&app, &client, &own).await && is_active(by_hand).await);
    let next = token(&app, &client).await;
    assert!(!is_active(by_hand).await && lives(&app, &client, &next).await);
    // The client and the administrator request tokens at the same time.
    let by_hand = async {
        let requests = (0..10).map(|_| admin.request(Method::POST, &path).json(&json!({})).send());
        join_all(requests).await
    };
    let (generated, asked_for) =
        tokio::join!(by_hand, join_all((0..10).map(|_| reply_as(&app, &client, GRANT))));
    let mut texts: Vec<String> = asked_for.iter().map(|reply| issued(reply).text).collect();
    for reply in generated {
        let made: Value = reply.unwrap().json().await.unwrap();
        texts.push(made["access_token"].as_str().unwrap().to_owned());
    }
    let mut living = 0;
    for text in &texts {
        living += usize::from(is_active(text).await);
    }
    assert_eq!((texts.len(), living), (20, 1));
    app.stop().await;
}

async fn switching_to_replace_revokes_and_switching_back_does_not(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = client(&admin, json!({})).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    let stateless = token(&app, &client).await;
    let generated = admin.create(&format!("{path}/access-tokens"), &json!({})).await;
    assert!(lives(&app, &client, &stateless).await);
    let change = async |mode: &str| -> Value {
        let reply = admin.patch(&path, &json!({"active_tokens": mode})).await;
        assert_eq!(reply.status(), 200);
        reply.json().await.unwrap()
    };
    let changed = change("replace").await;
    // Both tokens are revoked, but only the administrator's token is recorded and counted.
    assert_eq!((&changed["generation"], &changed["revoked_tokens"]), (&json!(2), &json!(1)));
    assert!(!lives(&app, &client, &stateless).await);
    let text = generated["access_token"].as_str().unwrap();
    assert_eq!(introspected(&app, &client, text).await.json()["active"], false);
    let one = token(&app, &client).await;
    // From now on no token replaces another.
    let changed = change("many").await;
    assert_eq!((&changed["generation"], changed.get("revoked_tokens")), (&json!(2), None));
    let many = [one, token(&app, &client).await, token(&app, &client).await];
    assert_eq!(living(&app, &client, &many).await, 3);
    app.stop().await;
}
