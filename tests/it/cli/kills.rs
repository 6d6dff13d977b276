//! The server is killed (SIGKILL) again and again while tokens are issued and revoked. Nothing that was acknowledged is
//! lost: every recorded token is there, every revoked one stays revoked.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;

use super::process::{Place, Serving, client, text};
use crate::support::Engine;

/// Concurrent requests.
const AT_ONCE: usize = 8;

/// An issued token.
#[derive(Debug)]
struct Held {
    access_token: String,
    revoked: Cell<Revoked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revoked {
    No,
    /// Requested without a response: it may be stored or not.
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
        // None of them ends another.
        "--active-tokens",
        "many",
        "--json",
    ]);
    let erp = (text(&made, "client_id").to_owned(), text(&made, "client_secret").to_owned());
    let http = client();
    let held = RefCell::new(Vec::new());
    for kill in 0..kills {
        let serving = place.serve();
        // Another number of replies before each kill, so that it happens at another moment.
        let answers = Cell::new(3 + kill * 7 % 23);
        let worker = |number: usize| work(&http, &serving, &erp, &held, &answers, number + kill);
        join_all((0..AT_ONCE).map(worker)).await;
        drop(serving);
    }
    let serving = place.serve();
    let (mut alive, mut dead) = (0, 0);
    for token in held.into_inner() {
        let reply = post(&http, &serving, "introspect", &erp, &token.access_token).await.unwrap();
        let active = reply.json::<Value>().await.unwrap()["active"] == true;
        match token.revoked.get() {
            Revoked::No => assert!(active, "an issued token is lost"),
            Revoked::Acknowledged => assert!(!active, "a revoked token lives"),
            Revoked::Perhaps => {}
        }
        *(if active { &mut alive } else { &mut dead }) += 1;
    }
    assert!(alive >= kills && dead >= kills, "{alive} alive, {dead} dead: too few to tell");
    assert_eq!(serving.stop().code, 0);
}

/// Issues and revokes in turn, and kills the server after enough responses.
async fn work(
    http: &Client,
    serving: &Serving,
    erp: &(String, String),
    held: &RefCell<Vec<Held>>,
    answers: &Cell<usize>,
    number: usize,
) {
    for turn in number.. {
        let answered = if turn % 3 == 2 {
            revoke_one(http, serving, erp, held).await
        } else {
            issue_one(http, serving, erp, held).await
        };
        if !answered {
            return;
        }
        answers.set(answers.get().saturating_sub(1));
        if answers.get() == 0 {
            serving.running.signal("KILL");
        }
    }
}

async fn issue_one(
    http: &Client,
    serving: &Serving,
    erp: &(String, String),
    held: &RefCell<Vec<Held>>,
) -> bool {
    let request = http.post(format!("{}/oauth2/token", serving.base)).basic_auth(&erp.0, Some(&erp.1));
    let Ok(reply) = request.form(&[("grant_type", "client_credentials")]).send().await else { return false };
    assert_eq!(reply.status(), 200);
    // The headers may have arrived without the body.
    let Ok(body) = reply.json::<Value>().await else { return false };
    let access_token = text(&body, "access_token").to_owned();
    held.borrow_mut().push(Held { access_token, revoked: Cell::new(Revoked::No) });
    true
}

async fn revoke_one(
    http: &Client,
    serving: &Serving,
    erp: &(String, String),
    held: &RefCell<Vec<Held>>,
) -> bool {
    let chosen = {
        let held = held.borrow();
        let found = held.iter().enumerate().rev().find(|(_, token)| token.revoked.get() == Revoked::No);
        found.map(|(place, token)| {
            token.revoked.set(Revoked::Perhaps);
            (place, token.access_token.clone())
        })
    };
    let Some((place, access_token)) = chosen else { return true };
    let Some(reply) = post(http, serving, "revoke", erp, &access_token).await else { return false };
    assert_eq!(reply.status(), 200);
    held.borrow()[place].revoked.set(Revoked::Acknowledged);
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
