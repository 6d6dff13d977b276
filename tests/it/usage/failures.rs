//! The feed of refused requests: its pages, its bounds under a flood, requests of clients that do not exist, and that it has no
//! secrets.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{client, failures, read, stocked, today, unknown_secret, with_secret};
use crate::support::{Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    the_feed_has_pages_newest_first,
    of_a_flood_a_hundred_failures_are_kept_and_all_are_counted,
    a_thousand_failures_of_unknown_clients_are_kept,
    a_text_that_is_not_a_client_secret_is_no_wrong_secret,
    nothing_secret_is_kept,
    failures_of_every_endpoint_are_in_the_feed,
    a_deleted_client_loses_its_feed,
    the_header_names_the_client_of_an_unreadable_request,
);

async fn the_feed_has_pages_newest_first(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    let path = format!("/v1/api-clients/{}/failures", erp.client_id);
    assert_eq!(read(&admin, &path).await, json!({"items": [], "next_cursor": null}));
    let mut requests = Vec::new();
    for _ in 0..5 {
        let reply = Reply::of(app.token(&erp, &[("scope", "other")]).await).await;
        requests.insert(0, reply.header("x-request-id").unwrap().to_owned());
        app.clock.advance(1);
    }
    for path in [path.as_str(), "/v1/failures"] {
        let mut seen = Vec::new();
        let mut next = format!("{path}?limit=2&count=true");
        loop {
            let reply = Reply::of(admin.get(&next).await).await;
            let page = reply.json();
            assert_eq!(page["total"], 5, "{page}");
            let id = |item: &Value| item["request_id"].as_str().unwrap().to_owned();
            seen.extend(page["items"].as_array().unwrap().iter().map(id));
            let Some(link) = reply.header("link") else { break };
            link.trim_start_matches('<').split_once('>').unwrap().0.clone_into(&mut next);
        }
        assert_eq!(seen, requests, "{path}");
        for bad in ["limit=0", "limit=201", "cursor=x", "since=2026-11-23T08:00:00Z"] {
            assert_eq!(admin.get(&format!("{path}?{bad}")).await.status(), 400, "{path} {bad}");
        }
    }
    app.stop().await;
}

async fn of_a_flood_a_hundred_failures_are_kept_and_all_are_counted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let (erp, other) = (client(&admin, json!({})).await, client(&admin, json!({})).await);
    assert_eq!(app.token(&other, &[("scope", "other")]).await.status(), 400);
    let wrong = with_secret(&erp, &unknown_secret());
    let mut last = String::new();
    // After 60 failures the client is throttled. Throttled requests, which get 429 instead of 401, count with their reason too.
    for n in 0..250 {
        let reply = Reply::of(app.token(&wrong, &[]).await).await;
        assert_eq!(reply.status, if n < 60 { 401 } else { 429 });
        reply.header("x-request-id").unwrap().clone_into(&mut last);
        if n % 90 == 0 {
            app.core.services.usage.flush().await.unwrap();
        }
    }
    let feed = failures(&admin, &erp).await;
    assert_eq!((feed.len(), &feed[0]["request_id"]), (100, &json!(last)));
    assert_eq!(today(&admin, &erp).await["refused"], json!({"wrong_secret": 250}));
    assert_eq!(failures(&admin, &other).await.len(), 1);
    assert_eq!(app.database.number("SELECT COUNT(*) FROM failures").await, 101);
    app.stop().await;
}

async fn a_thousand_failures_of_unknown_clients_are_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    assert_eq!(app.token(&erp, &[("scope", "other")]).await.status(), 400);
    let secret = unknown_secret();
    for n in 0..1_100 {
        let client_id = format!("cl_{n:022}");
        let unknown = Credentials { client_id, client_secret: secret.clone() };
        assert_eq!(app.token(&unknown, &[]).await.status(), 401);
        if n % 400 == 0 {
            app.core.services.usage.flush().await.unwrap();
        }
    }
    let all = read(&admin, "/v1/failures?limit=200&count=true").await;
    assert_eq!(all["total"], 1_001);
    let newest = &all["items"][0];
    assert_eq!(
        (&newest["client_id"], &newest["workspace_id"], &newest["reason"]),
        (&json!(format!("cl_{:022}", 1_099)), &json!(null), &json!("unknown_client"))
    );
    assert_eq!(newest["secret_last_four"], secret[49..]);
    assert_eq!(failures(&admin, &erp).await.len(), 1);
    app.stop().await;
}

/// Such a text is refused before the client is looked up, so the reason is the same if there is no such client.
async fn a_text_that_is_not_a_client_secret_is_no_wrong_secret(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    let made_up = Credentials { client_id: format!("cl_{:022}", 1), client_secret: String::new() };
    for client in [&erp, &made_up] {
        let client = Credentials { client_secret: "hunter2".to_owned(), ..client.clone() };
        assert_eq!(app.token(&client, &[]).await.status(), 401);
        let newest = read(&admin, "/v1/failures?limit=1").await["items"][0].take();
        assert_eq!(
            (&newest["client_id"], &newest["reason"]),
            (&json!(client.client_id), &json!("not_a_client_secret"))
        );
    }
    app.stop().await;
}

async fn nothing_secret_is_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    let secret = erp.client_secret.clone();
    let token = app.access_token(&erp, &[]).await;
    let post = |path: &str| app.request(Method::POST, path);
    let form = [("grant_type", "client_credentials")];
    for request in [
        // These requests have secrets and tokens in wrong places.
        post("/oauth2/token").basic_auth(&secret, Some(&erp.client_id)).form(&form),
        post("/oauth2/token").form(&[form[0], ("client_id", secret.as_str()), ("client_secret", "x")]),
        post(&format!("/oauth2/token?client_secret={secret}")).form(&form),
        post("/oauth2/token").basic_auth(&erp.client_id, Some(&secret)).form(&[form[0], ("scope", &secret)]),
        post("/oauth2/token")
            .basic_auth(&erp.client_id, Some(&secret))
            .form(&[form[0], ("resource", &token)]),
        post("/oauth2/token").basic_auth(&erp.client_id, Some(&secret)).form(&[("grant_type", &secret)]),
        post("/oauth2/token")
            .header("authorization", format!("Basic {}:{secret}", erp.client_id))
            .form(&form),
        post("/oauth2/token").header("authorization", format!("Bearer {token}")).form(&form),
        post("/oauth2/token").basic_auth(&erp.client_id, Some(format!("{secret}\n"))).form(&form),
        post("/oauth2/token").basic_auth(&erp.client_id, Some(&token)).form(&form),
        post("/oauth2/token").basic_auth(&erp.client_id, Some(&secret)).body(secret.clone()),
        post("/oauth2/token").basic_auth(&token, Some(&token)).form(&form),
    ] {
        let status = Reply::to(request).await.status;
        assert!(matches!(status, 400 | 401), "{status}");
    }
    let feed = read(&admin, "/v1/failures?limit=200").await;
    assert_eq!(feed["items"].as_array().unwrap().len(), 12);
    let stored = app.database.session().await.everything().await;
    for text in [feed.to_string(), stored] {
        for hidden in [&secret[..40], &secret[4..20], &token[token.len() - 30..]] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    // The feed has at most the last four characters of a text with the form of a secret.
    let ends: BTreeSet<&str> = feed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["secret_last_four"].as_str())
        .collect();
    assert_eq!(ends, BTreeSet::from([&secret[49..]]));
    app.stop().await;
}

async fn failures_of_every_endpoint_are_in_the_feed(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    let mut expected = Vec::new();
    for endpoint in ["token", "introspect", "revoke"] {
        for below in ["", "/tenant"] {
            let request = app.request(Method::POST, &format!("{below}/oauth2/{endpoint}"));
            let request = request.basic_auth(&erp.client_id, Some(unknown_secret()));
            let form = [("grant_type", "client_credentials"), ("token", "x")];
            assert_eq!(Reply::to(request.form(&form)).await.status, 401);
            expected.insert(0, json!(endpoint));
        }
    }
    let found: Vec<Value> =
        failures(&admin, &erp).await.iter().map(|failure| failure["endpoint"].clone()).collect();
    assert_eq!(found, expected);
    assert_eq!(today(&admin, &erp).await["refused"], json!({"wrong_secret": 6}));
    app.stop().await;
}

async fn a_deleted_client_loses_its_feed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    assert_eq!(app.token(&erp, &[("scope", "other")]).await.status(), 400);
    assert_eq!(failures(&admin, &erp).await.len(), 1);
    // These requests are counted in memory, and not stored yet when the client is deleted.
    app.access_token(&erp, &[]).await;
    assert_eq!(app.token(&erp, &[("scope", "other")]).await.status(), 400);
    let path = format!("/v1/api-clients/{}", erp.client_id);
    assert_eq!(admin.delete(&path).await.status(), 204);
    assert_eq!(admin.get(&format!("{path}/failures")).await.status(), 404);
    app.core.services.usage.flush().await.unwrap();
    // The second refused request is stored after the deletion, as one of a client that does not exist.
    let of_nobody = read(&admin, "/v1/failures").await;
    assert_eq!(of_nobody["items"].as_array().unwrap().len(), 1);
    assert_eq!(of_nobody["items"][0]["workspace_id"], json!(null));
    app.stop().await;
}

async fn the_header_names_the_client_of_an_unreadable_request(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    let request = app.request(Method::POST, "/oauth2/token");
    let request = request.basic_auth(&erp.client_id, Some(&erp.client_secret));
    let reply = Reply::to(request.header("content-type", "text/plain").body("x")).await;
    assert_eq!(reply.status, 400);
    let [failure] = failures(&admin, &erp).await.try_into().unwrap();
    assert_eq!(failure["reason"], "malformed_request");
    let says = reply.json()["error_description"].as_str().unwrap().to_owned();
    let message = failure["message"].as_str().unwrap();
    assert!(message.ends_with(&format!("The reply to the request says: {says}.")), "{message}");
    app.stop().await;
}
