//! `/v1/audit-events`: each change has one event, a caller sees the events of the workspaces that it can access, and
//! checkpoints and proofs show that the trail was not changed.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, ok, problem};
use crate::support::{Administrator, Engine, TestApp, on_both_engines, until};

on_both_engines!(
    every_change_leaves_an_event,
    a_refused_change_records_no_event,
    an_item_has_to_match_all_filters,
    invalid_and_unknown_filters_are_refused,
    a_workspace_sees_only_its_own_events,
    the_newest_come_first_page_by_page,
    the_source_is_the_client_behind_trusted_proxies,
    a_checkpoint_is_for_every_reader,
    a_proof_is_only_for_callers_that_may_see_the_event,
    a_consistency_proof_links_two_checkpoints,
    events_are_kept_for_as_long_as_the_setting_says,
);

async fn events(admin: &Administrator<'_>, query: &str) -> Vec<Value> {
    let body = ok(&Reply::of(admin.get(&format!("/v1/audit-events{query}")).await).await, 200);
    body["items"].as_array().unwrap().clone()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}

async fn every_change_leaves_an_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let before = events(&admin, "?limit=200").await.len();
    let actor = format!("client:{}", admin.client.client_id);
    app.clock.advance(1);
    let made = Reply::of(admin.post("/v1/products", &json!({"product": "gst", "name": "GST"})).await).await;
    ok(&made, 201);
    app.clock.advance(1);
    ok(
        &Reply::of(admin.patch("/v1/products/gst", &json!({"name": "Tax", "audience": "urn:x:y"})).await)
            .await,
        200,
    );
    app.clock.advance(1);
    assert_eq!(admin.delete("/v1/products/gst").await.status(), 204);
    app.clock.advance(1);
    admin.workspace("acme", json!({})).await;
    app.clock.advance(1);
    ok(&Reply::of(admin.patch("/v1/workspaces/acme", &json!({"status": "suspended"})).await).await, 200);
    app.clock.advance(1);
    assert_eq!(admin.delete("/v1/workspaces/acme").await.status(), 204);
    let all = events(&admin, "?limit=200").await;
    let new = &all[..all.len() - before];
    let expected = [
        "workspace.deleted",
        "workspace.updated",
        "workspace.created",
        "product.deleted",
        "product.updated",
        "product.created",
    ];
    assert_eq!(actions(new), expected);
    let created = &new[5];
    assert_eq!(
        *created,
        json!({
            "event_id": created["event_id"], "at": "2026-09-21T14:13:21Z", "actor": actor, "action": "product.created",
            "workspace_id": null, "client_id": null, "target": "gst", "request_id": made.header("x-request-id"),
            "source_ip": "127.0.0.1",
            "detail": {"name": "GST", "description": null, "audience": null, "max_token_lifetime_seconds": null, "never_expires_allowed": true},
            "log": 1, "seq": created["seq"], "entry": created["entry"]
        })
    );
    // `entry` is the text that the audit tree holds. It has the same values as the event.
    let entry: Value = serde_json::from_str(created["entry"].as_str().unwrap()).unwrap();
    for member in [
        "event_id",
        "at",
        "actor",
        "action",
        "workspace_id",
        "client_id",
        "target",
        "request_id",
        "source_ip",
        "detail",
    ] {
        assert_eq!(entry[member], created[member], "{member}");
    }
    assert_eq!(new.iter().map(|event| event["seq"].as_i64().unwrap()).rev().collect::<Vec<_>>(), {
        let first = created["seq"].as_i64().unwrap();
        (first..first + 6).collect::<Vec<_>>()
    });
    let changed = json!({"changed": {"name": {"old": "GST", "new": "Tax"}, "audience": {"old": null, "new": "urn:x:y"}}});
    assert_eq!(new[4]["detail"], changed);
    assert_eq!((&new[1]["workspace_id"], &new[1]["target"]), (&json!("acme"), &json!("acme")));
    assert_eq!(new[1]["detail"], json!({"changed": {"status": {"old": "active", "new": "suspended"}}}));
    app.stop().await;
}

async fn a_refused_change_records_no_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    admin.client("acme", json!({"products": ["gst"]})).await;
    let before = events(&admin, "?limit=200").await;
    let refused = [
        (admin.post("/v1/products", &json!({"product": "gst", "name": "X"})).await, 409),
        (admin.post("/v1/products", &json!({"product": "X"})).await, 422),
        (admin.patch("/v1/products/gst", &json!({"name": 1})).await, 422),
        (admin.delete("/v1/products/gst").await, 409),
        (admin.delete("/v1/products/none").await, 404),
        (admin.post("/v1/workspaces", &json!({"workspace_id": "acme", "name": "X"})).await, 409),
        (admin.patch("/v1/workspaces/acme", &json!({"products_allowed": []})).await, 409),
        (admin.patch("/v1/workspaces/platform", &json!({"status": "suspended"})).await, 409),
        (admin.delete("/v1/workspaces/acme").await, 409),
        (admin.delete("/v1/workspaces/platform").await, 409),
    ];
    for (reply, status) in refused {
        assert_eq!(reply.status(), status, "{}", reply.text().await.unwrap());
    }
    assert_eq!(events(&admin, "?limit=200").await, before);
    app.stop().await;
}

async fn an_item_has_to_match_all_filters(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    app.clock.advance(100);
    admin.workspace("acme", json!({})).await;
    admin.workspace("beta", json!({})).await;
    let reading = json!({"permissions": ["mintmark:read"]});
    let (one, _) = admin.client("acme", reading.clone()).await;
    app.clock.advance(100);
    let (_, _) = admin.client("beta", reading).await;
    let path = format!("/v1/api-clients/{}", one.client_id);
    ok(&Reply::of(admin.patch(&path, &json!({"label": "Other"})).await).await, 200);
    let of_one = format!("client_id={}", one.client_id);
    for (query, expected) in [
        ("workspace_id=acme".to_owned(), &["client.updated", "client.created", "workspace.created"][..]),
        ("workspace_id=beta".into(), &["client.created", "workspace.created"]),
        ("workspace_id=gamma".into(), &[]),
        (of_one.clone(), &["client.updated", "client.created"]),
        ("client_id=cl_0000000000000000000000".into(), &[]),
        ("action=client.updated".into(), &["client.updated"]),
        ("action=workspace.created&workspace_id=beta".into(), &["workspace.created"]),
        (format!("{of_one}&workspace_id=beta"), &[]),
        (format!("{of_one}&action=client.created"), &["client.created"]),
        // `since` is inclusive, and `until` exclusive. The last changes were made at 14:16:40.
        ("since=2026-09-21T14:16:40Z".into(), &["client.updated", "client.created"]),
        ("since=2026-09-21T14:16:41Z".into(), &[]),
        (
            "since=2026-09-21T14:15:00Z&until=2026-09-21T14:16:40Z".into(),
            &["client.created", "workspace.created", "workspace.created"],
        ),
        ("since=2026-09-21T19:46:40%2B05:30".into(), &["client.updated", "client.created"]),
        ("since=2027-01-01T00:00:00Z&until=2026-01-01T00:00:00Z".into(), &[]),
    ] {
        assert_eq!(actions(&events(&admin, &format!("?{query}")).await), expected, "{query}");
    }
    app.stop().await;
}

async fn invalid_and_unknown_filters_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for bad in [
        "workspace_id=",
        "workspace_id=a%20b",
        "workspace_id=a%00",
        "workspace_id=a&workspace_id=b",
        "client_id=",
        "client_id=acme",
        "client_id=cl_1",
        "client_id=' OR 1=1",
        "action=",
        "action=client",
        "action=Client.Created",
        "action=client.created,secret.created",
        "since=",
        "since=yesterday",
        "since=1790000000",
        "since=2026-09-21",
        "until=2026-09-21T25:00:00Z",
        "until=2026-09-21T14:00:00",
        "actor=x",
        "target=x",
    ] {
        let reply = Reply::of(admin.get(&format!("/v1/audit-events?{bad}")).await).await;
        problem(&reply, 400, "invalid-parameter");
    }
    app.stop().await;
}

async fn a_workspace_sees_only_its_own_events(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    admin.workspace("beta", json!({})).await;
    let (reader, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let (other, _) = admin.client("beta", json!({"permissions": ["mintmark:read"]})).await;
    let reader = app.administrator_as(&reader, "mintmark:read").await;
    let own = ["secret.first_used", "client.created", "workspace.created"];
    assert_eq!(actions(&events(&reader, "").await), own);
    for query in ["?workspace_id=acme", "?since=2000-01-01T00:00:00Z"] {
        assert_eq!(events(&reader, query).await.len(), 3, "{query}");
    }
    for query in [
        "?workspace_id=beta".to_owned(),
        "?workspace_id=platform".into(),
        "?action=product.created".into(),
        format!("?client_id={}", other.client_id),
    ] {
        assert_eq!(events(&reader, &query).await, Vec::<Value>::new(), "{query}");
    }
    app.stop().await;
}

async fn the_newest_come_first_page_by_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for n in 0..7 {
        admin.workspace(&format!("w{n}"), json!({})).await;
        app.clock.advance(1);
    }
    let whole = events(&admin, "?action=workspace.created&limit=7").await;
    let targets: Vec<&str> = whole.iter().map(|event| event["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["w6", "w5", "w4", "w3", "w2", "w1", "w0"]);
    let mut walked = Vec::new();
    let mut next = "?action=workspace.created&limit=3".to_owned();
    // Eight events: seven workspaces, and `platform`.
    for expected in [3, 3, 2] {
        let page = ok(&Reply::of(admin.get(&format!("/v1/audit-events{next}")).await).await, 200);
        assert_eq!(page["items"].as_array().unwrap().len(), expected);
        walked.extend(page["items"].as_array().unwrap().clone());
        // New events do not shift the pages.
        admin.workspace(&format!("late{}", walked.len()), json!({})).await;
        next = format!(
            "?action=workspace.created&limit=3&cursor={}",
            page["next_cursor"].as_str().unwrap_or_default()
        );
    }
    assert_eq!(walked[..7], whole);
    assert_eq!(walked[7]["target"], "platform");
    app.stop().await;
}

async fn the_source_is_the_client_behind_trusted_proxies(engine: Engine) {
    for (settings, source) in
        [("", "127.0.0.1"), ("server.trusted_proxies = [\"127.0.0.0/8\"]", "203.0.113.9")]
    {
        let app = TestApp::start_with(engine, settings).await;
        let admin = app.administrator().await;
        let request = admin
            .request(Method::POST, "/v1/products")
            .header("x-forwarded-for", "198.51.100.1, 203.0.113.9");
        let made =
            Reply::of(request.json(&json!({"product": "gst", "name": "GST"})).send().await.unwrap()).await;
        ok(&made, 201);
        assert_eq!(events(&admin, "?action=product.created").await[0]["source_ip"], source);
        app.stop().await;
    }
}

async fn events_are_kept_for_as_long_as_the_setting_says(engine: Engine) {
    const DAY: i64 = 86_400;
    for (setting, kept_after) in
        [("", [true, true]), ("audit.keep_days = 0", [true, true]), ("audit.keep_days = 30", [true, false])]
    {
        let app = TestApp::start_with(engine, setting).await;
        let admin = app.administrator().await;
        // With the setting that deletes the events, there are more of them than the 500 that one batch deletes.
        let changes = if kept_after[1] { 3 } else { 600 };
        for n in 0..changes {
            assert_eq!(
                admin.patch("/v1/workspaces/platform", &json!({"name": format!("P{n}")})).await.status(),
                200
            );
        }
        let old = format!(
            "SELECT COUNT(*) FROM audit_events WHERE entry IS NOT NULL AND at <= {}",
            crate::support::START
        );
        let whole = app.database.number(&old).await;
        assert!(whole > changes, "{whole}");
        for (days, kept) in [30, 1].into_iter().zip(kept_after) {
            // The clock goes to the last second of the thirtieth day, and then a second past its end.
            app.clock.advance(if days == 1 { 2 } else { days * DAY - 1 });
            mintmark::jobs::housekeeping_once(&app.core.services).await;
            assert_eq!(app.database.number(&old).await, if kept { whole } else { 0 }, "{setting}");
        }
        app.stop().await;
    }
}

async fn text(reply: reqwest::Response) -> String {
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (200, &"text/plain; charset=utf-8".parse().unwrap())
    );
    reply.text().await.unwrap()
}

async fn sign_checkpoint(app: &TestApp) {
    app.core.services.ledger.keep_audit_tree().await.unwrap();
}

/// Waits for the checkpoint that the app signs at its start, and deletes it and the stored nodes of the audit tree.
async fn forget_checkpoints(app: &TestApp) {
    first_checkpoint(app).await;
    app.database.session().await.execute("DELETE FROM audit_checkpoints; DELETE FROM audit_nodes").await;
}

/// Waits for the checkpoint that the app signs at its start. The next one is due a minute later.
async fn first_checkpoint(app: &TestApp) {
    until("a checkpoint is signed", async || {
        app.database.number("SELECT COUNT(*) FROM audit_checkpoints").await > 0
    })
    .await;
}

/// Checks that a reply says that no checkpoint covers the request yet.
fn not_covered(reply: &Reply) {
    problem(reply, 503, "unavailable");
    assert_eq!(reply.header("retry-after"), "60");
}

async fn a_checkpoint_is_for_every_reader(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    forget_checkpoints(&app).await;
    not_covered(&Reply::of(admin.get("/v1/audit-events/checkpoint").await).await);
    sign_checkpoint(&app).await;
    let note = text(admin.get("/v1/audit-events/checkpoint").await).await;
    let size = app.database.number("SELECT COUNT(*) FROM audit_events").await;
    let origin = format!("{}/audit", app.base.trim_start_matches("http://"));
    assert!(
        note.starts_with(&format!("{origin}\n{size}\n")) && note.contains(&format!("\n\n— {origin} ")),
        "{note}"
    );
    assert_eq!(text(admin.get("/v1/audit-events/checkpoint?log=1").await).await, note);
    admin.workspace("acme", json!({})).await;
    let reading = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await.0;
    let reader = app.administrator_as(&reading, "mintmark:read").await;
    assert_eq!(text(reader.get("/v1/audit-events/checkpoint").await).await, note);
    problem(&Reply::of(admin.get("/v1/audit-events/checkpoint?log=2").await).await, 404, "not-found");
    for bad in ["log=0", "log=01", "log=x", "log=", "log=1&log=1", "other=1", "log=99999999999999999999"] {
        problem(
            &Reply::of(admin.get(&format!("/v1/audit-events/checkpoint?{bad}")).await).await,
            400,
            "invalid-parameter",
        );
    }
    let anonymous = app.get("/v1/audit-events/checkpoint").await;
    assert_eq!(anonymous.status(), 401);
    app.stop().await;
}

async fn a_proof_is_only_for_callers_that_may_see_the_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    first_checkpoint(&app).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    admin.workspace("other", json!({})).await;
    let reading = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await.0;
    let reader = app.administrator_as(&reading, "mintmark:read").await;
    let seq_of = async |query: &str| events(&admin, query).await[0]["seq"].as_i64().unwrap();
    let own = seq_of("?workspace_id=acme&action=client.created").await;
    let foreign = seq_of("?workspace_id=other").await;
    let path = |seq: i64| format!("/v1/audit-events/{seq}/proof");
    not_covered(&Reply::of(reader.get(&path(own)).await).await);
    // An event that the caller may not see gets 404, whether or not a checkpoint covers it.
    problem(&Reply::of(reader.get(&path(foreign)).await).await, 404, "not-found");
    sign_checkpoint(&app).await;
    let proof = text(reader.get(&path(own)).await).await;
    let event = &events(&admin, "?workspace_id=acme&action=client.created").await[0];
    let entry =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, event["entry"].as_str().unwrap());
    assert!(proof.starts_with(&format!("c2sp.org/tlog-proof@v1\nextra {entry}\nindex {own}\n")), "{proof}");
    assert!(proof.ends_with(&text(reader.get("/v1/audit-events/checkpoint").await).await), "{proof}");
    problem(&Reply::of(reader.get(&path(foreign)).await).await, 404, "not-found");
    text(admin.get(&path(foreign)).await).await;
    for nowhere in [
        "/v1/audit-events/999999/proof",
        "/v1/audit-events/x/proof",
        "/v1/audit-events/-1/proof",
        "/v1/audit-events/00/proof",
        "/v1/audit-events/0/proof?log=2",
    ] {
        problem(&Reply::of(admin.get(nowhere).await).await, 404, "not-found");
    }
    app.stop().await;
}

async fn a_consistency_proof_links_two_checkpoints(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    sign_checkpoint(&app).await;
    let old = text(admin.get("/v1/audit-events/checkpoint").await).await;
    let size: i64 = old.lines().nth(1).unwrap().parse().unwrap();
    admin.workspace("acme", json!({})).await;
    sign_checkpoint(&app).await;
    let new = text(admin.get("/v1/audit-events/checkpoint").await).await;
    assert_ne!(old, new);
    let proof = text(admin.get(&format!("/v1/audit-events/consistency?from={size}")).await).await;
    assert!(proof.starts_with(&format!("old {size}\n")) && proof.ends_with(&new), "{proof}");
    assert_eq!(text(admin.get("/v1/audit-events/consistency?from=0").await).await, format!("old 0\n\n{new}"));
    problem(&Reply::of(admin.get("/v1/audit-events/consistency?from=9999").await).await, 404, "not-found");
    for bad in ["", "?from=-1", "?from=x"] {
        problem(
            &Reply::of(admin.get(&format!("/v1/audit-events/consistency{bad}")).await).await,
            400,
            "invalid-parameter",
        );
    }
    app.stop().await;
}

/// Tested on PostgreSQL only: on SQLite a writer waits for the lock on the whole database, not for the row of the tree.
#[tokio::test]
async fn a_change_that_waits_too_long_for_the_tree_is_refused_and_leaves_no_gap() {
    let app = TestApp::start(Engine::Postgres).await;
    let admin = app.administrator().await;
    let mut session = app.database.session().await;
    session.begin().await;
    session.execute("SELECT log FROM audit_trees WHERE ended_at IS NULL FOR UPDATE").await;
    let refused = Reply::of(admin.post("/v1/workspaces", &json!({"name": "Acme"})).await).await;
    problem(&refused, 503, "unavailable");
    assert_eq!(refused.header("retry-after"), "5");
    session.execute("ROLLBACK").await;
    // The same request succeeds, and nothing of the first one is left.
    ok(&Reply::of(admin.post("/v1/workspaces", &json!({"name": "Acme"})).await).await, 201);
    assert_eq!(
        events(&admin, "?action=workspace.created&limit=200").await.len(),
        2,
        "the new workspace and `platform`"
    );
    let count = session.number("SELECT COUNT(*) FROM audit_events").await;
    for (what, expected) in [
        ("MIN(seq) FROM audit_events", 0),
        ("MAX(seq) FROM audit_events", count - 1),
        ("COUNT(DISTINCT seq) FROM audit_events", count),
        ("size FROM audit_trees", count),
    ] {
        assert_eq!(session.number(&format!("SELECT {what}")).await, expected, "{what}");
    }
    app.stop().await;
}
