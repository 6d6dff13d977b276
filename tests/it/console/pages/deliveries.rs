//! What waits in the outbox, and what failed.

use mintmark::model::operator::Role;
use serde_json::json;

use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(waiting_and_failed_mails_are_listed, a_workspace_sees_only_its_own);

async fn waiting_and_failed_mails_are_listed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let manager = app.bootstrap().await;
    let admin = app.administrator_as(&manager, "mintmark:manage").await;
    let empty = root.get("/console/deliveries").await.must_be(200);
    assert!(empty.says("No mail waits") && empty.says("No mail server is set"), "{}", empty.text());
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let contact = json!(["fin@acme.example"]);
    let (client, _) = admin
        .client("acme", json!({"label": "SAP", "products": ["gst"], "notification_emails": contact}))
        .await;
    app.clock.advance(3600);
    let root = app.signed_in("root@example.com").await;
    let page = root.get("/console/deliveries").await.must_be(200);
    for words in
        ["An API client was created", "SAP", "fin@acme.example", "Waiting", "not tried yet", "1 hour ago"]
    {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    assert_eq!(page.link("SAP"), format!("/console/api-clients/{}", client.client_id));
    let mut database = app.database.session().await;
    database.execute("UPDATE deliveries SET attempts = 3, next_attempt_at = next_attempt_at + 7300").await;
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says("Failed") && page.says("tried 3 times, next in 1 hour"), "{}", page.text());
    database.execute("UPDATE deliveries SET sent_at = queued_at, occurrences = 4").await;
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says("Sent") && page.says("created, 4 times"), "{}", page.text());
    // A mail about a client that is gone.
    let token = app.access_token(&manager, &[]).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    let gone = app.request(reqwest::Method::DELETE, &path).bearer_auth(&token).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says(&format!("{} (deleted)", client.client_id)), "{}", page.text());
}

async fn a_workspace_sees_only_its_own(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for id in ["acme", "rival"] {
        admin.workspace(id, json!({})).await;
        let contact = json!([format!("fin@{id}.example")]);
        let body =
            json!({"label": format!("SAP of {id}"), "products": ["gst"], "notification_emails": contact});
        admin.client(id, body).await;
    }
    let eve = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let page = eve.open("/console/deliveries").await.must_be(200);
    assert_eq!(page.path, "/console/deliveries?workspace_id=acme");
    assert!(page.says("SAP of acme") && !page.html.contains("rival"), "{}", page.text());
}
