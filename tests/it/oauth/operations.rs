//! What an operator monitors (`docs/operations.md`): health, readiness and metrics; and what happens to requests in flight
//! when the service is stopped.

use std::collections::{BTreeMap, HashSet};

use reqwest::Method;
use serde_json::json;

use super::expect::{FORM, GRANT, basic, issued, pair, post, reply_as};
use crate::support::{Credentials, Engine, Reply, TestApp, Wire, on_both_engines, until};

on_both_engines!(
    health_and_metrics_answer_get_and_head_only,
    a_request_under_way_is_finished_when_the_service_stops,
    each_outcome_has_its_own_count,
    labels_are_bounded,
);

async fn health_and_metrics_answer_get_and_head_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let reply = Reply::of(app.get("/healthz").await).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"status": "ok"})));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(wire.reply_to_head().await.status, 200, "{path}");
        wire.must_close().await;
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            let refused = Reply::to(app.request(method, path)).await;
            assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{path}");
        }
    }
    app.stop().await;
}

async fn a_request_under_way_is_finished_when_the_service_stops(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let mut idle = Wire::to(&app).await;
    idle.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.reply().await.status, 200);
    let mut wire = Wire::to(&app).await;
    wire.send(format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nAuthorization: {}\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        basic(pair(&client)),
        GRANT.len()
    ))
    .await;
    // From here on the request is in flight.
    assert_eq!(wire.reply().await.status, 100);
    let address = app.base.clone();
    let meanwhile = async {
        let address = address.strip_prefix("http://").unwrap();
        let refuses = async || tokio::net::TcpStream::connect(address).await.is_err();
        until("new connections are refused", refuses).await;
        // Idle connections are closed too.
        idle.must_be_closed().await;
        wire.send(GRANT).await;
        let reply = wire.reply().await;
        issued(&reply);
        assert_eq!(reply.header("connection"), Some("close"));
        wire.must_be_closed().await;
    };
    tokio::join!(app.stop(), meanwhile);
}

/// The samples at `/metrics` by name and labels.
async fn samples(app: &TestApp) -> BTreeMap<String, String> {
    let reply = Reply::of(app.get("/metrics").await).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

async fn outcomes(app: &TestApp) -> BTreeMap<String, u64> {
    let samples = samples(app).await;
    let of_tokens = samples.iter().filter_map(|(name, value)| {
        let outcome = name.strip_prefix("mintmark_tokens_total{outcome=\"")?.strip_suffix("\"}")?;
        Some((outcome.to_owned(), value.parse().unwrap()))
    });
    of_tokens.collect()
}

async fn each_outcome_has_its_own_count(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    let never = json!({"products": ["gst"], "token_expiry": {"mode": "never"}});
    let (never_expiring, _) = admin.client("platform", never).await;
    let changed = admin.patch("/v1/products/gst", &json!({"never_expires_allowed": false})).await;
    assert_eq!(changed.status(), 200);
    let wrong = Credentials { client_secret: "wrong".to_owned(), ..client.clone() };
    let mut expected = outcomes(&app).await;
    assert_eq!(expected.values().sum::<u64>(), 1, "only the administrator's own token: {expected:?}");
    for (who, body, outcome) in [
        (&client, GRANT, "issued"),
        (&client, "", "invalid_request"),
        (&client, "grant_type=client_credentials&x=%zz", "invalid_request"),
        (&wrong, GRANT, "invalid_client"),
        (&client, "grant_type=password", "unsupported_grant_type"),
        (&client, "grant_type=client_credentials&scope=nothing", "invalid_scope"),
        (&client, "grant_type=client_credentials&resource=nowhere", "invalid_target"),
        (&never_expiring, GRANT, "unauthorized_client"),
    ] {
        reply_as(&app, who, body).await;
        *expected.get_mut(outcome).unwrap() += 1;
        assert_eq!(outcomes(&app).await, expected, "{body}");
    }
    for _ in 0..100 {
        if reply_as(&app, &wrong, GRANT).await.status != 401 {
            break;
        }
        *expected.get_mut("invalid_client").unwrap() += 1;
    }
    *expected.get_mut("throttled").unwrap() += 1;
    assert_eq!(outcomes(&app).await, expected);
    app.database.go_away().await;
    // Without the database, caches are used for five seconds.
    app.clock.advance_millis(5001);
    reply_as(&app, &client, GRANT).await;
    *expected.get_mut("unavailable").unwrap() += 1;
    assert_eq!(outcomes(&app).await, expected);
    let age = samples(&app).await["mintmark_change_poll_age_seconds"].parse::<f64>().unwrap();
    assert!(age >= 5.001, "{age}");
    app.database.come_back().await;
    app.stop().await;
}

async fn labels_are_bounded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let hostile = async |round: usize| {
        for n in 0..50 {
            let mark = format!("mark{round}x{n}");
            let own = mark.to_uppercase();
            let method = ["GET", "POST", "BREW", "PROPFIND", &own][n % 5];
            let path = match n % 4 {
                0 => format!("/{mark}"),
                1 => format!("/v1/{mark}?{mark}={mark}"),
                2 => format!("/oauth2/token/{mark}"),
                _ => format!("/v1/api-clients/{mark}"),
            };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = app.request(method, &path).header("user-agent", &mark).header("host", &mark);
            let status = Reply::to(request.header("x-request-id", &mark)).await.status;
            assert!((400..500).contains(&status), "{path}: {status}");
            let who = Credentials { client_id: mark.clone(), client_secret: mark.clone() };
            reply_as(&app, &who, format!("grant_type={mark}")).await;
            Reply::to(post(&app, format!("{GRANT}&client_id={mark}&client_secret={mark}"))).await;
        }
    };
    hostile(1).await;
    issued(&reply_as(&app, &client, GRANT).await);
    let before: HashSet<String> = samples(&app).await.into_keys().collect();
    hostile(2).await;
    let after: HashSet<String> = samples(&app).await.into_keys().collect();
    // Only the request for /metrics itself may have been added.
    let new: Vec<&String> = after.difference(&before).filter(|name| !name.contains("\"/metrics\"")).collect();
    assert!(new.is_empty(), "{new:?}");
    for name in &after {
        assert!(!name.to_lowercase().contains("mark1") && !name.to_lowercase().contains("mark2"), "{name}");
        assert!(!name.contains(&client.client_id), "{name}");
        if let Some(method) = name.split("method=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            assert!(
                ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"].contains(&method),
                "{name}"
            );
        }
    }
    app.stop().await;
}
