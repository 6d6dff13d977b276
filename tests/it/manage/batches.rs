//! `POST /v1/api-clients/batch`: one change for many clients, in one transaction or not at all.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem};
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    clients_are_changed_by_their_ids,
    clients_are_changed_by_a_filter,
    a_dry_run_shows_the_result_and_writes_nothing,
    a_client_that_breaks_a_rule_stops_the_whole_batch,
    ids_that_are_out_of_reach_are_named,
    a_batch_that_revokes_too_many_tokens_is_refused,
    a_batch_that_sets_a_limit_revokes_the_tokens_above_it_if_they_are_many,
    more_than_two_hundred_clients_are_refused,
    invalid_members_are_named,
    the_rules_of_access_are_those_of_a_single_change,
    two_batches_at_once_both_succeed,
);

const BATCH: &str = "/v1/api-clients/batch";

async fn post(admin: &Administrator<'_>, body: &Value) -> Reply {
    Reply::of(admin.post(BATCH, body).await).await
}

async fn get(admin: &Administrator<'_>, path: &str) -> Value {
    ok(&Reply::of(admin.get(path).await).await, 200)
}

fn path_of(client: &Credentials) -> String {
    format!("/v1/api-clients/{}", client.client_id)
}

/// Three clients with both products, two in `acme` and one in `other`, and an administrator of the platform.
async fn furnished(app: &TestApp) -> (Administrator<'_>, Vec<Credentials>) {
    let admin = app.administrator().await;
    for code in ["gst", "e-invoicing"] {
        admin.product(code, json!({})).await;
    }
    let mut clients = Vec::new();
    for id in ["acme", "other"] {
        admin.workspace(id, json!({})).await;
    }
    for workspace in ["acme", "acme", "other"] {
        let more = json!({
            "products": ["gst", "e-invoicing"], "token_expiry": {"mode": "never"}, "metadata": {"of": workspace}
        });
        clients.push(admin.client(workspace, more).await.0);
    }
    (admin, clients)
}

fn ids(clients: &[Credentials]) -> Vec<&str> {
    clients.iter().map(|client| client.client_id.as_str()).collect()
}

async fn rows(app: &TestApp, table: &str) -> i64 {
    app.database.number(&format!("SELECT COUNT(*) FROM {table}")).await
}

async fn clients_are_changed_by_their_ids(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let tokens = format!("{}/access-tokens", path_of(&clients[0]));
    admin.create(&tokens, &json!({})).await;
    admin.create(&tokens, &json!({"scope": "e-invoicing"})).await;
    let already = json!({"products": ["e-invoicing"]});
    assert_eq!(admin.patch(&path_of(&clients[1]), &already).await.status(), 200);
    let events = rows(&app, "audit_events").await;
    // The reply lists the clients in the order of the request, not of their ids.
    let named = [&clients[2], &clients[0], &clients[1]].map(|client| client.client_id.clone());
    let report = ok(&post(&admin, &json!({"ids": named, "patch": already})).await, 200);
    let etag = |client: &Credentials| {
        let path = path_of(client);
        let admin = &admin;
        async move { Reply::of(admin.get(&path).await).await.header("etag").to_owned() }
    };
    let item = |client: &Credentials, etag: String, revoked: usize| json!({"client_id": client.client_id, "etag": etag, "revoked_tokens": revoked});
    let expected = json!({
        "matched": 3, "changed": 2, "dry_run": false,
        "items": [
            item(&clients[2], etag(&clients[2]).await, 0),
            item(&clients[0], etag(&clients[0]).await, 1),
            item(&clients[1], etag(&clients[1]).await, 0),
        ],
    });
    assert_eq!(report, expected);
    for client in &clients {
        assert_eq!(get(&admin, &path_of(client)).await["products"], json!(["e-invoicing"]));
    }
    // Each changed client has an audit event; the entity tag in the reply works for the next change.
    assert_eq!(rows(&app, "audit_events").await, events + 2);
    let tag = report["items"][0]["etag"].as_str().unwrap();
    let next = admin.request(Method::PATCH, &path_of(&clients[2])).header("if-match", tag);
    assert_eq!(Reply::to(next.json(&json!({"label": "x"}))).await.status, 200);
    app.stop().await;
}

async fn clients_are_changed_by_a_filter(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let report = ok(
        &post(&admin, &json!({"filter": {"metadata": {"of": "acme"}}, "patch": {"status": "disabled"}}))
            .await,
        200,
    );
    assert_eq!((&report["matched"], &report["changed"]), (&json!(2), &json!(2)));
    let mut found = ids(&clients[..2]);
    found.sort_unstable();
    let items = report["items"].as_array().unwrap();
    assert!(items.iter().map(|item| item["client_id"].as_str().unwrap()).eq(found), "{report}");
    for (client, status) in clients.iter().zip(["disabled", "disabled", "active"]) {
        assert_eq!(get(&admin, &path_of(client)).await["status"], status);
    }
    // The filters are those of the query of `GET /v1/api-clients`.
    app.clock.advance(100);
    app.access_token(&clients[2], &[]).await;
    for (filter, matched) in [
        (json!({"status": "disabled"}), 2),
        (json!({"metadata.of": "other"}), 1),
        (json!({"metadata.of": "other", "metadata": {"of": "other"}}), 1),
        (json!({"label": "erp", "product": "gst", "status": "active"}), 1),
        (json!({"secret_expires_before": "2030-01-01T00:00:00Z"}), 0),
        (json!({"unused_since": "2026-09-21T14:15:00Z", "product": "gst"}), 2),
        (json!({"unused_since": "2026-09-21T14:16:00Z", "product": "gst", "label": null}), 3),
        // The client of the administrator too.
        (json!({}), 4),
    ] {
        let body = json!({"filter": filter, "patch": {"description": "x"}, "dry_run": true});
        assert_eq!(ok(&post(&admin, &body).await, 200)["matched"], matched, "{filter}");
    }
    app.stop().await;
}

async fn a_dry_run_shows_the_result_and_writes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    for client in &clients[..2] {
        admin.create(&format!("{}/access-tokens", path_of(client)), &json!({})).await;
    }
    let mut body = json!({"ids": ids(&clients), "patch": {"active_tokens": "replace"}, "dry_run": true});
    let before = app.database.session().await.everything().await;
    let dry = ok(&post(&admin, &body).await, 200);
    assert_eq!(app.database.session().await.everything().await, before);
    body["dry_run"] = json!(false);
    let done = ok(&post(&admin, &body).await, 200);
    for (report, version) in [(&dry, "\"v1\""), (&done, "\"v2\"")] {
        assert_eq!((&report["matched"], &report["changed"]), (&json!(3), &json!(3)));
        let items = report["items"].as_array().unwrap();
        let revoked: Vec<&Value> = items.iter().map(|item| &item["revoked_tokens"]).collect();
        assert_eq!(revoked, [&json!(1), &json!(1), &json!(0)]);
        assert!(items.iter().all(|item| item["etag"] == version), "{report}");
    }
    assert_eq!((&dry["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
    assert_ne!(app.database.session().await.everything().await, before);
    app.stop().await;
}

async fn a_client_that_breaks_a_rule_stops_the_whole_batch(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let only = json!({"never_expires_allowed": false});
    let plain = json!({"label": "plain", "products": ["gst"]});
    let mut all = vec![admin.client("other", plain).await.0];
    assert_eq!(admin.patch("/v1/workspaces/other", &only).await.status(), 200);
    all.extend(clients);
    // The last client is in `other` too, but its tokens never expire already, so it does not break the rule.
    let never = json!({"token_expiry": {"mode": "never"}, "description": "x"});
    let before = app.database.session().await.everything().await;
    let refused = post(&admin, &json!({"ids": ids(&all), "patch": never})).await;
    broken(&refused, &["/ids/0"]);
    let detail = refused.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("/patch/token_expiry/mode the workspace does not allow"), "{detail}");
    let refused = post(&admin, &json!({"filter": {"product": "gst"}, "patch": never})).await;
    broken(&refused, &["/filter"]);
    assert!(refused.text().contains(&all[0].client_id), "{}", refused.text());
    // A rule that all clients break is reported for each of them.
    let long = json!({"label": "x".repeat(201), "products": ["none"]});
    let refused = post(&admin, &json!({"ids": ids(&all[..2]), "patch": long})).await;
    broken(&refused, &["/ids/0", "/ids/1"]);
    assert!(
        refused.text().contains("/patch/label must") && refused.text().contains("/patch/products/0 is not")
    );
    let refused = post(&admin, &json!({"ids": ids(&all), "patch": {"require_dpop": true}})).await;
    problem(&refused, 422, "not-supported-yet");
    assert_eq!(refused.pointers(), ["/patch/require_dpop"]);
    assert_eq!(app.database.session().await.everything().await, before);
    app.stop().await;
}

async fn ids_that_are_out_of_reach_are_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let nobody = format!("cl_{}", "0".repeat(22));
    let wanted = [clients[0].client_id.as_str(), &nobody, "acme", &clients[2].client_id, ""];
    let patch = json!({"label": "new"});
    let refused = post(&admin, &json!({"ids": wanted, "patch": patch})).await;
    problem(&refused, 404, "not-found");
    assert_eq!(refused.pointers(), ["/ids/1", "/ids/2", "/ids/4"]);
    let more = json!({"permissions": ["mintmark:manage"]});
    let own = app.administrator_as(&admin.client("acme", more).await.0, "mintmark:manage").await;
    let refused = post(&own, &json!({"ids": ids(&clients), "patch": patch})).await;
    problem(&refused, 404, "not-found");
    assert_eq!(refused.pointers(), ["/ids/2"], "a client of another workspace is unknown to the caller");
    for client in &clients {
        assert_eq!(get(&admin, &path_of(client)).await["label"], "ERP");
    }
    // A filter finds only the clients within the reach of the caller.
    let report = ok(&post(&own, &json!({"filter": {"product": "gst"}, "patch": patch})).await, 200);
    assert_eq!(report["changed"], 2);
    assert_eq!(get(&admin, &path_of(&clients[2])).await["label"], "ERP");
    app.stop().await;
}

/// Records `count` tokens of a client.
async fn record(app: &TestApp, client: &Credentials, scope: &str, count: usize) {
    let (id, scope_id) = (&client.client_id, scope.replace(' ', "_"));
    let mut session = app.database.session().await;
    session
        .execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at,
                issued_by)
             SELECT '{id} {scope_id} ' || i, '{id}', 'acme', 'kid', 1, '{scope}', '{scope}', 1, 'client' FROM n"
        ))
        .await;
}

async fn a_batch_that_revokes_too_many_tokens_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    // 10,001 tokens include `gst`: one more than a batch may revoke.
    record(&app, &clients[0], "gst", 6_000).await;
    record(&app, &clients[1], "gst e-invoicing", 4_001).await;
    record(&app, &clients[1], "e-invoicing", 20_000).await;
    let batch =
        |dry_run: bool, patch: Value| json!({"ids": ids(&clients), "patch": patch, "dry_run": dry_run});
    let live =
        || async { app.database.number("SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL").await };
    for patch in [json!({"products": ["e-invoicing"]}), json!({"active_tokens": "replace"})] {
        for dry_run in [true, false] {
            let refused = post(&admin, &batch(dry_run, patch.clone())).await;
            let detail = problem(&refused, 409, "conflict")["detail"].as_str().unwrap().to_owned();
            assert!(
                detail.contains("more than 10000 tokens") && detail.contains("in a separate request"),
                "{detail}"
            );
        }
    }
    assert_eq!(live().await, 30_001);
    // With one token fewer the batch is allowed.
    let one = format!("{} gst_e-invoicing 1", clients[1].client_id);
    app.database
        .session()
        .await
        .execute(&format!("UPDATE access_tokens SET revoked_at = 2 WHERE jti = '{one}'"))
        .await;
    let report = ok(&post(&admin, &batch(false, json!({"products": ["e-invoicing"]}))).await, 200);
    let revoked: Vec<&Value> =
        report["items"].as_array().unwrap().iter().map(|i| &i["revoked_tokens"]).collect();
    assert_eq!(revoked, [&json!(6_000), &json!(4_000), &json!(0)]);
    assert_eq!(live().await, 20_000);
    app.stop().await;
}

/// As with a single PATCH of `active_tokens`: if more than 1,000 tokens of a client are above the new limit, the change revokes
/// them. Otherwise they are revoked when the client gets its next token.
async fn a_batch_that_sets_a_limit_revokes_the_tokens_above_it_if_they_are_many(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    // Their tokens never expire, so `active_tokens` is 20 by default. Only a change from `many` to a number counts the tokens.
    let many = json!({"ids": ids(&clients), "patch": {"active_tokens": "many"}});
    ok(&post(&admin, &many).await, 200);
    record(&app, &clients[0], "gst", 9_000).await;
    record(&app, &clients[1], "gst", 1_006).await;
    record(&app, &clients[2], "gst", 900).await;
    let live =
        || async { app.database.number("SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL").await };
    // 8,999 and 1,005 are too many together. The 899 of the third client do not count: its next token revokes them.
    let mut body = json!({"ids": ids(&clients), "patch": {"active_tokens": 1}, "dry_run": true});
    let refused = post(&admin, &body).await;
    let detail = problem(&refused, 409, "conflict")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("more than 10000 tokens"), "{detail}");
    assert_eq!(live().await, 10_906);
    body["patch"] = json!({"active_tokens": 4});
    for dry_run in [true, false] {
        body["dry_run"] = json!(dry_run);
        let report = ok(&post(&admin, &body).await, 200);
        let items = report["items"].as_array().unwrap();
        let revoked: Vec<&Value> = items.iter().map(|item| &item["revoked_tokens"]).collect();
        assert_eq!(revoked, [&json!(8_996), &json!(1_002), &json!(0)], "{dry_run}");
    }
    assert_eq!(live().await, 4 + 4 + 900);
    app.stop().await;
}

async fn more_than_two_hundred_clients_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let mut session = app.database.session().await;
    session
        .execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 297)
             INSERT INTO api_clients (client_id, ordinal, workspace_id, label, permissions, token_expiry_seconds,
                notification_emails, allowed_ips, metadata, generation, created_at, updated_at, version)
             SELECT 'cl_0000000000000000000' || i, 'o' || i, workspace_id, 'many', permissions, 60, '', '', '{{}}', 1, 1, 1, 1
                FROM api_clients, n WHERE client_id = '{}'",
            clients[0].client_id
        ))
        .await;
    // Unlike clients that the API creates, these have no status slot yet.
    app.core.services.clients.ensure_slots().await.unwrap();
    let patch = json!({"permissions": ["mintmark:read"]});
    let mut all: Vec<String> = (100..298).map(|number| format!("cl_0000000000000000000{number}")).collect();
    all.extend(ids(&clients).into_iter().map(str::to_owned));
    assert_eq!(all.len(), 201);
    broken(&post(&admin, &json!({"ids": all, "patch": patch})).await, &["/ids"]);
    let refused = post(&admin, &json!({"filter": {}, "patch": patch})).await;
    broken(&refused, &["/filter"]);
    assert!(refused.text().contains("more than 200"), "{}", refused.text());
    all.pop();
    let report = ok(&post(&admin, &json!({"ids": all, "patch": patch})).await, 200);
    assert_eq!((&report["matched"], &report["changed"]), (&json!(200), &json!(200)));
    let named = report["items"].as_array().unwrap().iter().map(|item| item["client_id"].as_str().unwrap());
    assert!(named.eq(&all));
    app.stop().await;
}

async fn invalid_members_are_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let id = &clients[0].client_id;
    let patch = json!({"label": "new"});
    for (body, pointers) in [
        (json!({}), vec!["/ids", "/patch"]),
        (json!({"patch": patch}), vec!["/ids"]),
        (json!({"ids": [id]}), vec!["/patch"]),
        (json!({"ids": [id], "patch": null}), vec!["/patch"]),
        (json!({"ids": [id], "filter": {}, "patch": patch}), vec!["/filter"]),
        (json!({"ids": [], "patch": patch}), vec!["/ids"]),
        (json!({"ids": id, "patch": patch}), vec!["/ids"]),
        (json!({"ids": [id, 7, id], "patch": patch}), vec!["/ids/1", "/ids/2"]),
        (
            json!({"ids": [id], "patch": {"label": 7, "client_id": id, "metadata": {"a": 1}}}),
            vec!["/patch/client_id", "/patch/label", "/patch/metadata/a"],
        ),
        (json!({"ids": [id], "patch": patch, "dry_run": "yes", "force": true}), vec!["/dry_run", "/force"]),
        (json!({"filter": "all", "patch": patch}), vec!["/filter"]),
        (
            json!({"patch": patch, "filter": {
                "label": "", "product": "GST", "status": "gone", "metadata": {"a": null}, "metadata.b": 1,
                "secret_expires_before": "soon", "unused_since": 7, "workspace_id": "acme",
            }}),
            vec![
                "/filter/label",
                "/filter/metadata",
                "/filter/metadata.b",
                "/filter/product",
                "/filter/secret_expires_before",
                "/filter/status",
                "/filter/unused_since",
                "/filter/workspace_id",
            ],
        ),
        (
            json!({"filter": {"metadata": {"a": "b"}, "metadata.a": "c"}, "patch": patch}),
            vec!["/filter/metadata"],
        ),
        (json!([id]), vec![""]),
    ] {
        broken(&post(&admin, &body).await, &pointers);
    }
    problem(&Reply::of(admin.get(BATCH).await).await, 405, "method-not-allowed");
    app.stop().await;
}

async fn the_rules_of_access_are_those_of_a_single_change(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let reader = app.administrator_as(&admin.client, "mintmark:read").await;
    let body = json!({"ids": ids(&clients), "patch": {"permissions": ["mintmark:introspect"]}});
    // A caller without the permission is refused before the body is read.
    problem(&Reply::to(reader.request(Method::POST, BATCH).body("{")).await, 403, "forbidden");
    // A caller grants only permissions in its own token.
    problem(&post(&admin, &body).await, 403, "forbidden");
    for client in &clients {
        assert_eq!(get(&admin, &path_of(client)).await["permissions"], json!([]));
    }
    let both = app.administrator_as(&admin.client, "mintmark:manage mintmark:introspect").await;
    assert_eq!(ok(&post(&both, &body).await, 200)["changed"], 3);
    app.stop().await;
}

async fn two_batches_at_once_both_succeed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, mut clients) = furnished(&app).await;
    for _ in 0..10 {
        clients.push(admin.client("other", json!({"products": ["gst", "e-invoicing"]})).await.0);
    }
    let forward = ids(&clients);
    let backward: Vec<&str> = forward.iter().rev().copied().collect();
    for round in 0..5 {
        let products = [json!(["gst"]), json!(["e-invoicing", "gst"])];
        let one =
            json!({"ids": forward, "patch": {"products": products[round % 2], "label": format!("{round}")}});
        let other = json!({"ids": backward, "patch": {"products": products[(round + 1) % 2], "metadata": {"round": "x"}}});
        let (one, other) = futures_util::future::join(post(&admin, &one), post(&admin, &other)).await;
        assert_eq!(ok(&one, 200)["matched"], 13);
        assert_eq!(ok(&other, 200)["matched"], 13);
    }
    app.stop().await;
}
