//! The server is killed (SIGKILL) again and again while tokens are issued and revoked. Nothing that it acknowledged is lost: an
//! issued token is active unless its revocation was requested, and every revoked token stays revoked.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;

use super::process::{Place, Serving, client, text};
use crate::support::Engine;

/// How many requests are sent at once.
const AT_ONCE: usize = 8;

/// An issued token, and what is known about its revocation.
#[derive(Debug)]
struct Issued {
    access_token: String,
    revoked: Cell<Revoked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revoked {
    No,
    /// The revocation was requested, but no response came: it may be stored or not.
    Perhaps,
    Acknowledged,
}

#[tokio::test]
async fn a_hundred_kills_lose_nothing_on_sqlite() {
    nothing_acknowledged_is_lost(Engine::Sqlite, 100).await;
}

#[tokio::test]
async fn kills_lose_nothing_on_postgres() {
    nothing_acknowledged_is_lost(Engine::Postgres, 20).await;
}

async fn nothing_acknowledged_is_lost(engine: Engine, kills: usize) {
    let place = Place::with_issuer(engine);
    place.json(&["products", "create", "gst", "--name", "GST", "--json"]);
    place.json(&["workspaces", "create", "acme", "--name", "Acme", "--json"]);
    let made = place.json(&[
        "clients",
        "create",
        "acme",
        "--label",
        "ERP",
        "--products",
        "gst",
        "--token-expiry",
        "never",
        // A new token does not revoke an earlier one.
        "--active-tokens",
        "many",
        "--json",
    ]);
    let erp = (text(&made, "client_id").to_owned(), text(&made, "client_secret").to_owned());
    let http = client();
    let issued = RefCell::new(Vec::new());
    for kill in 0..kills {
        let serving = place.serve();
        // The number of replies before the kill varies, so that the kills happen at different moments.
        let replies_left = Cell::new(3 + kill * 7 % 23);
        let worker = |number: usize| work(&http, &serving, &erp, &issued, &replies_left, number + kill);
        join_all((0..AT_ONCE).map(worker)).await;
        drop(serving);
    }
    let serving = place.serve();
    let (mut active_tokens, mut inactive_tokens) = (0, 0);
    for token in issued.into_inner() {
        let reply = post(&http, &serving, "introspect", &erp, &token.access_token).await.unwrap();
        let active = reply.json::<Value>().await.unwrap()["active"] == true;
        match token.revoked.get() {
            Revoked::No => assert!(active, "an issued token is lost"),
            Revoked::Acknowledged => assert!(!active, "a revoked token is active"),
            Revoked::Perhaps => {}
        }
        *(if active { &mut active_tokens } else { &mut inactive_tokens }) += 1;
    }
    assert!(
        active_tokens >= kills && inactive_tokens >= kills,
        "too few tokens for a result: {active_tokens} active, {inactive_tokens} not"
    );
    assert_eq!(serving.stop().code, 0);
}

/// Issues two tokens and revokes one, again and again. Kills the server after the planned number of responses, and ends when
/// a request fails.
async fn work(
    http: &Client,
    serving: &Serving,
    erp: &(String, String),
    issued: &RefCell<Vec<Issued>>,
    replies_left: &Cell<usize>,
    number: usize,
) {
    for turn in number.. {
        let answered = if turn % 3 == 2 {
            revoke_one(http, serving, erp, issued).await
        } else {
            issue_one(http, serving, erp, issued).await
        };
        if !answered {
            return;
        }
        replies_left.set(replies_left.get().saturating_sub(1));
        if replies_left.get() == 0 {
            serving.running.signal("KILL");
        }
    }
}

async fn issue_one(
    http: &Client,
    serving: &Serving,
    erp: &(String, String),
    issued: &RefCell<Vec<Issued>>,
) -> bool {
    let request = http.post(format!("{}/oauth2/token", serving.base)).basic_auth(&erp.0, Some(&erp.1));
    let Ok(reply) = request.form(&[("grant_type", "client_credentials")]).send().await else { return false };
    assert_eq!(reply.status(), 200);
    // The headers may have arrived without the body.
    let Ok(body) = reply.json::<Value>().await else { return false };
    let access_token = text(&body, "access_token").to_owned();
    issued.borrow_mut().push(Issued { access_token, revoked: Cell::new(Revoked::No) });
    true
}

async fn revoke_one(
    http: &Client,
    serving: &Serving,
    erp: &(String, String),
    issued: &RefCell<Vec<Issued>>,
) -> bool {
    let chosen = {
        let issued = issued.borrow();
        let found = issued.iter().enumerate().rev().find(|(_, token)| token.revoked.get() == Revoked::No);
        found.map(|(index, token)| {
            token.revoked.set(Revoked::Perhaps);
            (index, token.access_token.clone())
        })
    };
    let Some((index, access_token)) = chosen else { return true };
    let Some(reply) = post(http, serving, "revoke", erp, &access_token).await else { return false };
    assert_eq!(reply.status(), 200);
    issued.borrow()[index].revoked.set(Revoked::Acknowledged);
    true
}

async fn post(
    http: &Client,
    serving: &Serving,
    endpoint: &str,
    erp: &(String, String),
    token: &str,
) -> Option<reqwest::Response> {
    let request = http.post(format!("{}/oauth2/{endpoint}", serving.base)).basic_auth(&erp.0, Some(&erp.1));
    request.form(&[("token", token)]).send().await.ok()
}
