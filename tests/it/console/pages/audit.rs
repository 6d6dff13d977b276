//! The audit trail: in plain words, filtered, in pages, and limited to what its reader may see.

use mintmark::model::audit::Action;
use mintmark::model::operator::Role;
use serde_json::json;

use super::fill;
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    events_are_in_plain_words,
    filters_narrow_the_trail,
    an_unreadable_filter_is_reported_at_its_field,
    the_trail_is_shown_in_pages_of_50,
    a_workspace_sees_only_its_own_events,
    a_workspace_is_offered_the_actions_that_happen_in_it,
    the_csv_file_has_the_events_that_match_the_filter,
    a_changed_event_is_found_by_verifying_the_trail,
);

async fn events_are_in_plain_words(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let admin = app.administrator().await;
    fill(&root, "/console/products/new", &[("product", "gst"), ("name", "GST")]).await.must_be(303);
    fill(&root, "/console/workspaces/new", &[("workspace_id", "acme"), ("name", "Acme")]).await.must_be(303);
    let (client, _) = admin.client("acme", json!({"label": "SAP", "products": ["gst"]})).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    assert_eq!(admin.patch(&path, &json!({"status": "disabled"})).await.status(), 200);
    assert_eq!(admin.patch(&path, &json!({"label": "SAP 2"})).await.status(), 200);
    let page = root.get("/console/audit").await.must_be(200);
    for words in [
        "created the product GST",
        "created the workspace Acme",
        "created the API client SAP",
        "disabled the API client SAP 2",
        "changed the API client SAP 2: label",
        "SAP → SAP 2",
        "invited the operator root",
        "root",
        "API client bootstrap",
        "The command line",
        "client.updated",
        "signed in",
    ] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    assert!(!page.says("mms_"), "the trail has no secret");
}

async fn filters_narrow_the_trail(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    for id in ["acme", "other"] {
        admin.workspace(id, json!({"name": format!("Place {id}")})).await;
    }
    let (client, _) = admin.client("acme", json!({"label": "SAP", "products": ["gst"]})).await;
    admin.client("other", json!({"label": "Tally", "products": ["gst"]})).await;
    for (query, there, missing) in [
        ("workspace_id=acme", "Place acme", "Place other"),
        (&format!("client_id={}", client.client_id), "SAP", "Tally"),
        ("action=workspace.created", "Place other", "SAP"),
        ("since=2020-01-01", "SAP", "No event matches"),
        ("until=2020-01-01", "No event matches", "SAP"),
        ("since=2020-01-01T00:00:00Z&until=2100-01-01&action=client.created", "Tally", "Place other"),
    ] {
        let page = root.get(&format!("/console/audit?{query}")).await.must_be(200);
        assert!(page.says(there) && !page.says(missing), "{query}: {}", page.text());
    }
    // The events of a deleted workspace are still shown.
    admin.workspace("gone", json!({"name": "Gone"})).await;
    assert_eq!(admin.delete("/v1/workspaces/gone").await.status(), 204);
    let page = root.get("/console/audit?workspace_id=gone").await.must_be(200);
    assert!(page.says("deleted the workspace Gone"), "{}", page.text());
}

async fn an_unreadable_filter_is_reported_at_its_field(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    for (field, value) in [
        ("workspace_id", "a%20b"),
        ("client_id", "cl_1"),
        ("action", "nothing"),
        ("since", "yesterday"),
        ("until", "2026-13-01"),
    ] {
        let page = root.get(&format!("/console/audit?{field}={value}")).await.must_be(400);
        assert!(page.title().starts_with("Error: "), "{}", page.title());
        assert!(page.html.contains(&format!("id=\"{field}-error\"")), "{field}: {}", page.text());
    }
    root.get("/console/audit?after=AAAA").await.must_be(400);
}

async fn the_trail_is_shown_in_pages_of_50(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    for number in 0..60 {
        admin.product(&format!("p{number:02}"), json!({"name": format!("Product {number:02}")})).await;
    }
    let first = root.get("/console/audit?action=product.created").await.must_be(200);
    assert!(first.says("Product 59") && first.says("Product 10") && !first.says("Product 09"));
    let second = root.get(&first.link("Next page")).await.must_be(200);
    assert!(second.says("Product 09") && second.says("Product 00") && !second.says("Product 10"));
    assert_eq!(second.link("First page"), "/console/audit?action=product.created");
    // A cursor works only with the filter of its page.
    let elsewhere = first.link("Next page").replace("product.created", "product.deleted");
    root.get(&elsewhere).await.must_be(400);
}

async fn a_workspace_sees_only_its_own_events(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    admin.workspace("rival", json!({"name": "Rival Ltd"})).await;
    let (theirs, _) = admin.client("rival", json!({"label": "Rival SAP", "products": ["gst"]})).await;
    admin.client("acme", json!({"label": "Acme SAP", "products": ["gst"]})).await;
    fill(&root, "/console/workspaces/acme", &[("description", "Now with text")]).await.must_be(303);
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    fill(&ann, "/console/workspaces/acme", &[("name", "Acme 2")]).await.must_be(303);
    let page = ann.open("/console/audit").await.must_be(200);
    assert_eq!(page.path, "/console/audit?workspace_id=acme");
    for words in ["created the API client Acme SAP", "Another operator", "Another API client", "ann"] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    for foreign in ["ival", "root", "bootstrap", "product.created", "operator.", "Signing key"] {
        assert!(!page.html.contains(foreign), "{foreign}: {}", page.text());
    }
    let foreign = ann.get(&format!("/console/audit?workspace_id=acme&client_id={}", theirs.client_id)).await;
    assert!(foreign.must_be(200).says("No event matches"));
    let unknown = ann.get("/console/audit?workspace_id=nothing").await.must_be(404);
    let rival = ann.get("/console/audit?workspace_id=rival").await.must_be(404);
    assert_eq!(
        unknown.text().replace(unknown.header("x-request-id"), ""),
        rival.text().replace(rival.header("x-request-id"), "")
    );
}

async fn a_workspace_is_offered_the_actions_that_happen_in_it(engine: Engine) {
    let app = TestApp::start_with(engine, "outbound.allow = [\"127.0.0.1\"]").await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    admin.create("/v1/workspaces/acme/webhooks", &json!({"url": "http://127.0.0.1:9/in"})).await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let page = ann.open("/console/audit").await.must_be(200);
    let offers = |action: &str| page.html.contains(&format!("<option value=\"{action}\""));
    for action in Action::ALL.map(Action::as_str) {
        let noun = action.split('.').next().unwrap();
        let of_a_workspace = matches!(
            noun,
            "workspace" | "client" | "secret" | "access_token" | "access_tokens" | "webhook" | "delivery"
        );
        assert_eq!(offers(action), of_a_workspace, "{action}");
    }
    let page = ann.get("/console/audit?workspace_id=acme&action=webhook.created").await.must_be(200);
    assert!(page.says("created a webhook to"), "{}", page.text());
}

async fn the_csv_file_has_the_events_that_match_the_filter(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    let (client, _) = admin.client("acme", json!({"label": "=1+1,\"x\"", "products": ["gst"]})).await;
    let page = root.get("/console/audit?action=client.created").await.must_be(200);
    assert!(page.html.contains("href=\"/console/audit.csv?action=client.created\""), "{}", page.html);
    let table = root.get("/console/audit.csv?action=client.created").await.must_be(200);
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(table.header("content-disposition"), "attachment; filename=\"mintmark-audit.csv\"");
    let lines: Vec<&str> = table.html.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("at,action,actor,workspace_id,client_id,target,"), "{}", lines[0]);
    let row = lines.iter().find(|line| line.contains(&client.client_id)).expect("the client's row");
    assert!(row.contains(",client.created,client:"), "{row}");
    assert!(row.contains(&format!(",acme,{0},{0},", client.client_id)), "{row}");
    assert!(lines[1..].iter().all(|line| line.contains(",client.created,")), "{}", table.html);
    // An unreadable filter redirects to the page, which reports it.
    let wrong = root.get("/console/audit.csv?since=yesterday").await.must_be(303);
    assert_eq!(wrong.header("location"), "/console/audit?since=yesterday");
}

async fn a_changed_event_is_found_by_verifying_the_trail(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    let page = root.get("/console/audit").await.must_be(200);
    assert!(page.html.contains("href=\"/console/audit/verify\""), "{}", page.html);
    let good = root.get("/console/audit/verify").await.must_be(200);
    assert!(good.says("Nothing was changed"), "{}", good.text());
    app.database
        .execute("UPDATE audit_events SET action = 'product.deleted' WHERE action = 'product.created'")
        .await;
    let bad = root.get("/console/audit/verify").await.must_be(200);
    assert!(bad.says("The audit trail has been changed"), "{}", bad.text());
    assert!(!bad.says("Nothing was changed"), "{}", bad.text());
}
