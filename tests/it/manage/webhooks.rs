//! `/v1/workspaces/{workspace_id}/webhooks` and `/v1/webhooks`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem, replica_of};
use crate::support::{Administrator, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_webhook_is_created_changed_and_deleted,
    all_bad_fields_are_reported_in_one_reply,
    urls_to_which_nothing_may_be_sent_are_refused,
    a_workspace_has_at_most_twenty_webhooks,
    a_lost_reply_is_repeated_with_its_secret,
    keys_are_replaced_and_the_old_ones_sign_for_another_day,
    a_workspace_can_access_only_its_own_webhooks,
    the_path_of_the_url_is_not_in_the_audit_trail,
    deleting_a_workspace_deletes_its_webhooks,
);

const LIST: &str = "/v1/workspaces/acme/webhooks";
const URL: &str = "https://hooks.acme.example/in?token=s3cret-in-the-query";

async fn administrator(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    admin
}

fn path_of(webhook: &Value) -> String {
    format!("/v1/webhooks/{}", webhook["webhook_id"].as_str().unwrap())
}

/// The number of bytes of a key, without its prefix.
fn bytes(key: &Value, prefix: &str) -> usize {
    STANDARD.decode(key.as_str().unwrap().strip_prefix(prefix).unwrap()).unwrap().len()
}

async fn a_webhook_is_created_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let body = json!({"url": URL, "events": ["client.*", "secret.created"], "description": "On call"});
    let made = Reply::of(admin.post(LIST, &body).await).await;
    let mut created = ok(&made, 201);
    let path = path_of(&created);
    assert_eq!((made.header("location"), made.header("etag")), (path.as_str(), "\"v1\""));
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = created.as_object_mut().unwrap().remove("signing_secret").unwrap();
    assert_eq!((bytes(&secret, "whsec_"), bytes(&created["public_key"], "whpk_")), (32, 32));
    let mut expected = json!({
        "webhook_id": created["webhook_id"], "workspace_id": "acme", "url": URL,
        "events": ["client.*", "secret.created"], "description": "On call", "status": "active",
        "disabled_reason": null, "public_key": created["public_key"],
        "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(created, expected);
    let read = Reply::of(admin.get(&path).await).await;
    assert_eq!((ok(&read, 200), read.header("etag")), (expected.clone(), "\"v1\""));
    let known = Reply::to(admin.request(Method::GET, &path).header("if-none-match", "\"v1\"")).await;
    assert_eq!(known.status, 304);
    let listed = ok(&Reply::of(admin.get(&format!("{LIST}?count=true")).await).await, 200);
    assert_eq!(listed, json!({"items": [expected], "next_cursor": null, "total": 1}));

    app.clock.advance(60);
    let change =
        json!({"url": "https://other.example/", "events": null, "description": "", "status": "disabled"});
    let stale = admin.request(Method::PATCH, &path).header("if-match", "\"v2\"").json(&change);
    problem(&Reply::to(stale).await, 412, "precondition-failed");
    let changed =
        Reply::to(admin.request(Method::PATCH, &path).header("if-match", "\"v1\"").json(&change)).await;
    for (member, value) in [
        ("url", json!("https://other.example/")),
        ("events", json!(null)),
        ("description", json!(null)),
        ("status", json!("disabled")),
        ("disabled_reason", json!("administrator")),
        ("updated_at", json!("2026-09-21T14:14:20Z")),
    ] {
        expected[member] = value;
    }
    assert_eq!((ok(&changed, 200), changed.header("etag")), (expected, "\"v2\""));
    let same = Reply::of(admin.patch(&path, &change).await).await;
    assert_eq!(same.header("etag"), "\"v2\"", "nothing was changed");
    let enabled = ok(&Reply::of(admin.patch(&path, &json!({"status": null})).await).await, 200);
    assert_eq!((&enabled["status"], &enabled["disabled_reason"]), (&json!("active"), &json!(null)));
    let stale = admin.request(Method::DELETE, &path).header("if-match", "\"v1\"");
    problem(&Reply::to(stale).await, 412, "precondition-failed");
    let gone = Reply::of(admin.delete(&path).await).await;
    assert_eq!((gone.status, gone.text()), (204, ""));
    for method in [Method::GET, Method::DELETE] {
        problem(&Reply::to(admin.request(method, &path)).await, 404, "not-found");
    }
    let events = ok(&Reply::of(admin.get("/v1/audit-events?workspace_id=acme").await).await, 200);
    let events = events["items"].as_array().unwrap();
    let actions: Vec<&str> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..4], ["webhook.deleted", "webhook.updated", "webhook.updated", "webhook.created"]);
    assert_eq!(events[0]["target"], created["webhook_id"]);
    app.stop().await;
}

async fn all_bad_fields_are_reported_in_one_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let path = path_of(&admin.create(LIST, &json!({"url": URL})).await);
    let with = |member: &str, value: Value| {
        let mut body = json!({"url": URL});
        body[member] = value;
        body
    };
    for (body, pointers) in [
        (json!({}), &["/url"][..]),
        (json!([]), &[""]),
        (
            json!({"url": "", "events": ["nothing", "client.*", "client.*", 1], "description": "a\tb", "status": "on", "x": 1}),
            &["/url", "/events/0", "/events/2", "/events/3", "/description", "/status", "/x"],
        ),
        (with("url", json!(null)), &["/url"]),
        (with("events", json!([])), &["/events"]),
        (with("events", json!("client.*")), &["/events"]),
        (with("events", json!(["client"])), &["/events/0"]),
        (with("events", json!(["leak.*"])), &["/events/0"]),
        (with("events", json!(vec!["client.created"; 51])), &["/events"]),
        (with("description", json!("x".repeat(501))), &["/description"]),
        (with("webhook_id", json!("a")), &["/webhook_id"]),
        (with("public_key", json!("a")), &["/public_key"]),
    ] {
        broken(&Reply::of(admin.post(LIST, &body).await).await, pointers);
        if body.get("url").is_some() {
            broken(&Reply::of(admin.patch(&path, &body).await).await, pointers);
        }
    }
    for events in [json!(["*"]), json!(["status_list.changed", "audit.checkpoint", "webhook.*"])] {
        let changed = ok(&Reply::of(admin.patch(&path, &json!({"events": events})).await).await, 200);
        assert_eq!(changed["events"], events);
    }
    problem(
        &Reply::of(admin.post("/v1/workspaces/none/webhooks", &json!({"url": URL})).await).await,
        404,
        "not-found",
    );
    problem(&Reply::of(admin.get("/v1/workspaces/none/webhooks").await).await, 404, "not-found");
    app.stop().await;
}

/// Only the URL itself is checked here. Its host name is resolved, and the address checked, when something is sent.
async fn urls_to_which_nothing_may_be_sent_are_refused(engine: Engine) {
    let loopback = TestApp::start(engine).await;
    let admin = administrator(&loopback).await;
    // A plain http URL is allowed only if `server.public_url` of this service is on loopback.
    admin.create(LIST, &json!({"url": "http://hooks.example/"})).await;
    loopback.stop().await;
    let settings = "server.public_url = \"https://tokens.example.com\"\nserver.trusted_proxies = [\"127.0.0.1\"]\noutbound.allow = [\"10.1.0.0/16\", \"hooks.internal\"]";
    let app = TestApp::start_with(engine, settings).await;
    let admin = administrator(&app).await;
    let why = async |url: &str| {
        let refused = Reply::of(admin.post(LIST, &json!({"url": url})).await).await;
        broken(&refused, &["/url"]);
        refused.json()["errors"][0]["detail"].as_str().unwrap().to_owned()
    };
    for (url, reason) in [
        ("http://hooks.example/", "not an https URL"),
        ("ftp://hooks.example/", "not an https URL"),
        ("file:///etc/passwd", "not an https URL"),
        ("hooks.example/in", "not a URL"),
        ("https://", "not a URL"),
        ("https://user@hooks.example/", "user name or a password"),
        ("https://user:pass@hooks.example/", "user name or a password"),
        ("https://hooks.example/#part", "no fragment"),
        ("https://hooks.example/a b", "no spaces"),
        (" https://hooks.example/", "no spaces"),
        ("https://bücher.example/", "punycode"),
        ("https://hooks.example/\n", "no spaces"),
    ] {
        let said = why(url).await;
        assert!(said.contains(reason), "{url}: {said}");
    }
    let said = why(&format!("https://hooks.example/{}", "x".repeat(2000))).await;
    assert!(said.contains("at most 2000"), "{said}");
    for address in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "10.0.0.1",
        "10.2.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[2001:db8::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
    ] {
        assert_eq!(why(&format!("https://{address}/in")).await, "address not allowed", "{address}");
    }
    for url in
        ["https://10.1.2.3/in", "https://hooks.internal/", "https://1.1.1.1:8443/", "https://hooks.example"]
    {
        admin.create(LIST, &json!({"url": url})).await;
    }
    app.stop().await;
}

async fn a_workspace_has_at_most_twenty_webhooks(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let mut paths = Vec::new();
    for _ in 0..20 {
        paths.push(path_of(&admin.create(LIST, &json!({"url": URL})).await));
    }
    let refused = Reply::of(admin.post(LIST, &json!({"url": URL})).await).await;
    let said = problem(&refused, 409, "conflict");
    assert!(said["detail"].as_str().unwrap().contains("20 webhooks"), "{said}");
    admin.create("/v1/workspaces/platform/webhooks", &json!({"url": URL})).await;
    admin.delete(&paths[0]).await;
    admin.create(LIST, &json!({"url": URL})).await;
    app.stop().await;
}

async fn a_lost_reply_is_repeated_with_its_secret(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let send = |path: &str, body: Value| {
        Reply::to(admin.request(Method::POST, path).header("idempotency-key", "k").json(&body))
    };
    let (first, again) = (send(LIST, json!({"url": URL})).await, send(LIST, json!({"url": URL})).await);
    assert_eq!(ok(&first, 201), ok(&again, 201));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert!(again.json()["signing_secret"].as_str().unwrap().starts_with("whsec_"));
    problem(&send(LIST, json!({"url": "https://a.example/"})).await, 422, "idempotency-key-reused");
    let keys = format!("{}/secrets", path_of(&first.json()));
    assert_eq!(ok(&send(&keys, json!({})).await, 201), ok(&send(&keys, json!({})).await, 201));
    let listed = ok(&Reply::of(admin.get(LIST).await).await, 200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    app.stop().await;
}

async fn keys_are_replaced_and_the_old_ones_sign_for_another_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let created = admin.create(LIST, &json!({"url": URL})).await;
    let path = path_of(&created);
    let replaced = Reply::to(admin.request(Method::POST, &format!("{path}/secrets"))).await;
    assert_eq!(replaced.header("cache-control"), "no-store");
    let replaced = ok(&replaced, 201);
    assert_eq!(
        (bytes(&replaced["signing_secret"], "whsec_"), bytes(&replaced["public_key"], "whpk_")),
        (32, 32)
    );
    assert_eq!(replaced["old_sign_until"], "2026-09-22T14:13:20Z");
    for member in ["signing_secret", "public_key"] {
        assert_ne!(replaced[member], created[member], "{member}");
    }
    let read = Reply::of(admin.get(&path).await).await;
    assert_eq!((&ok(&read, 200)["public_key"], read.header("etag")), (&replaced["public_key"], "\"v2\""));
    broken(
        &Reply::of(admin.post(&format!("{path}/secrets"), &json!({"secret": "mine"})).await).await,
        &["/secret"],
    );

    // The old and the new keys sign for a day, then only the new keys. `v1` is an HMAC, and `v1a` an Ed25519 signature.
    let (services, id) = (&app.core.services, created["webhook_id"].as_str().unwrap());
    let caller = mintmark::kernel::Manager::command_line();
    let webhook = services.webhooks.webhook(&caller, id).await.unwrap();
    let now = crate::support::START;
    let both = services.webhooks.signature(&webhook, "id", now + 86_399, "{}").await.unwrap();
    let after = services.webhooks.signature(&webhook, "id", now + 86_400, "{}").await.unwrap();
    let versions = |header: &str| {
        header.split(' ').map(|one| one.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (versions(&both), versions(&after)),
        (vec!["v1".into(), "v1a".into(), "v1".into(), "v1a".into()], vec!["v1".into(), "v1a".into()])
    );
    app.clock.advance(86_400);
    services.clean_up().await.unwrap();
    assert_eq!(services.webhooks.signature(&webhook, "id", now, "{}").await.unwrap().split(' ').count(), 2);
    app.stop().await;
}

async fn a_workspace_can_access_only_its_own_webhooks(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let theirs = path_of(&admin.create("/v1/workspaces/platform/webhooks", &json!({"url": URL})).await);
    let permissions = json!({"permissions": ["mintmark:manage", "mintmark:read"]});
    let (client, _) = admin.client("acme", permissions).await;
    let manager = app.administrator_as(&client, "mintmark:manage").await;
    let reader = app.administrator_as(&client, "mintmark:read").await;
    let own = path_of(&manager.create(LIST, &json!({"url": URL})).await);
    for (path, method) in [(&own, Method::PATCH), (&own, Method::DELETE)] {
        let refused = Reply::to(reader.request(method, path).json(&json!({}))).await;
        problem(&refused, 403, "forbidden");
    }
    for path in [LIST.to_owned(), format!("{own}/secrets")] {
        problem(&Reply::of(reader.post(&path, &json!({"url": URL})).await).await, 403, "forbidden");
    }
    for path in [LIST, &own] {
        ok(&Reply::of(reader.get(path).await).await, 200);
    }
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let refused = Reply::to(manager.request(method, &theirs).json(&json!({}))).await;
        problem(&refused, 404, "not-found");
    }
    for method in [Method::GET, Method::POST] {
        let at = "/v1/workspaces/platform/webhooks";
        problem(&Reply::to(manager.request(method, at).json(&json!({"url": URL}))).await, 404, "not-found");
    }
    problem(&Reply::of(manager.post(&format!("{theirs}/secrets"), &json!({})).await).await, 404, "not-found");
    for id in ["nothing", "%00", "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e09"] {
        problem(&Reply::of(admin.get(&format!("/v1/webhooks/{id}")).await).await, 404, "not-found");
    }
    // A replica that starts now knows the webhook too.
    let replica = replica_of(&app).await;
    let there = replica.request(Method::GET, &own).bearer_auth(&manager.token);
    ok(&Reply::to(there).await, 200);
    replica.stop().await;
    app.stop().await;
}

async fn the_path_of_the_url_is_not_in_the_audit_trail(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let path = path_of(&admin.create(LIST, &json!({"url": URL})).await);
    admin.patch(&path, &json!({"url": "https://hooks.acme.example/in?token=another-s3cret"})).await;
    let trail = ok(&Reply::of(admin.get("/v1/audit-events?action=webhook.updated").await).await, 200);
    let changed = &trail["items"][0]["detail"]["changed"]["url"];
    let [old, new] = ["old", "new"].map(|side| changed[side].as_str().unwrap());
    assert!(old != new && old.starts_with("https://hooks.acme.example:443/… ("), "{changed}");
    let all = Reply::of(admin.get("/v1/audit-events").await).await;
    assert!(!all.text().contains("s3cret") && !all.text().contains("whsec_"), "{}", all.text());
    app.stop().await;
}

async fn deleting_a_workspace_deletes_its_webhooks(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let path = path_of(&admin.create(LIST, &json!({"url": URL})).await);
    assert_eq!(admin.delete("/v1/workspaces/acme").await.status(), 204);
    problem(&Reply::of(admin.get(&path).await).await, 404, "not-found");
    app.stop().await;
}
