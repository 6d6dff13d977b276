//! The list of deliveries: those that wait, were sent or failed; and sending one again.

use mintmark::model::operator::Role;
use serde_json::json;

use crate::support::{Engine, HtmlForm, TestApp, on_both_engines};

on_both_engines!(
    mails_are_listed_with_their_state,
    a_delivery_that_was_given_up_is_sent_again,
    a_workspace_sees_only_its_own_deliveries,
);

async fn mails_are_listed_with_their_state(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let manager = app.bootstrap().await;
    let admin = app.administrator_as(&manager, "mintmark:manage").await;
    let empty = root.get("/console/deliveries").await.must_be(200);
    assert!(empty.says("Nothing was sent yet") && empty.says("No mail server is set"), "{}", empty.text());
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let contact = json!(["fin@acme.example"]);
    let (client, _) = admin
        .client("acme", json!({"label": "SAP", "products": ["gst"], "notification_emails": contact}))
        .await;
    app.clock.advance(3600);
    let root = app.signed_in("root@example.com").await;
    let page = root.get("/console/deliveries").await.must_be(200);
    for words in ["API client created", "SAP", "fin@acme.example", "Waiting", "not tried yet", "1 hour ago"] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    assert_eq!(page.link("SAP"), format!("/console/api-clients/{}", client.client_id));
    let mut database = app.database.session().await;
    // An hour has passed since the mail was queued, so the next attempt is in 7300 - 3600 seconds.
    database
        .execute("UPDATE deliveries SET attempts = 3, next_attempt_at = next_attempt_at + 7300, last_error = 'busy <b>'")
        .await;
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says("Failed") && page.says("tried 3 times, next in 1 hour"), "{}", page.text());
    assert!(page.says("busy <b>") && !page.html.contains("<b>"), "{}", page.html);
    database.execute("UPDATE deliveries SET sent_at = queued_at, occurrences = 4").await;
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says("Sent") && page.says("created, 4 times") && !page.says("busy"), "{}", page.text());
    let logged = mintmark::model::delivery::LOGGED;
    database.execute(&format!("UPDATE deliveries SET last_reply = '{logged}'")).await;
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says("Only logged"), "{}", page.text());
    // For a client that was deleted, the list shows its id. The first token of the manager has expired meanwhile.
    let token = app.access_token(&manager, &[]).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    let gone = app.request(reqwest::Method::DELETE, &path).bearer_auth(&token).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let page = root.get("/console/deliveries").await.must_be(200);
    assert!(page.says(&client.client_id), "{}", page.text());
    for (query, has, hasnt) in [
        ("channel=webhook", "Nothing of this kind", "fin@acme.example"),
        ("channel=mail", "fin@acme.example", "Nothing of this kind"),
        ("state=failed", "Nothing was given up", "fin@acme.example"),
    ] {
        let page = root.get(&format!("/console/deliveries?{query}")).await.must_be(200);
        assert!(page.says(has) && !page.says(hasnt), "{query}: {}", page.text());
    }
}

async fn a_delivery_that_was_given_up_is_sent_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let contact = json!(["fin@acme.example"]);
    admin.client("acme", json!({"label": "SAP", "products": ["gst"], "notification_emails": contact})).await;
    let given_up = "UPDATE deliveries SET dead_at = queued_at, attempts = 1, last_status = 550,
        last_error = 'the mail server refuses the recipient: 550 no such user'";
    app.database.session().await.execute(given_up).await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let eve = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let path = "/console/deliveries?workspace_id=acme";
    let page = ann.get(path).await.must_be(200);
    assert!(
        page.says("Given up") && page.says("550 no such user") && page.says("tried 1 time"),
        "{}",
        page.text()
    );
    assert!(ann.get(&format!("{path}&state=failed")).await.must_be(200).says("fin@acme.example"));
    let seen = eve.get(path).await.must_be(200);
    assert!(seen.says("Given up") && !seen.says("Send again"), "a viewer only looks: {}", seen.text());
    let form = page.forms().into_iter().find(|form| form.action.contains("/send-again")).unwrap();
    let after = ann.submit(&form).await.must_be(200);
    assert_eq!(after.path, format!("{path}&done=sent-again"));
    assert!(after.says("The delivery waits again") && after.says("not tried yet"), "{}", after.text());
    let again = "SELECT COUNT(*) FROM deliveries WHERE dead_at IS NULL AND attempts = 0";
    assert_eq!(app.database.number(again).await, 1);
    let audited =
        "SELECT COUNT(*) FROM audit_events WHERE action = 'delivery.resent' AND workspace_id = 'acme'";
    assert_eq!(app.database.number(audited).await, 1);
    // A second click on the page from before is refused.
    let late = ann.submit(&form).await.must_be(409);
    assert!(late.says("is not given up"), "{}", late.text());
    assert_eq!(late.link("Back to the deliveries"), path);
    // In the list of all workspaces, the link leads back to that list.
    let root = app.platform_admin().await;
    let everywhere = HtmlForm { action: form.action.replace("?workspace_id=acme", ""), ..form };
    let page = root.get("/console/deliveries").await.must_be(200);
    let everywhere = everywhere.with("csrf", page.form("/sign-out").value("csrf"));
    let late = root.submit(&everywhere).await.must_be(409);
    assert_eq!(late.link("Back to the deliveries"), "/console/deliveries");
    assert_eq!(app.worker.run_once().await.unwrap(), 1);
    assert_eq!(app.database.number("SELECT COUNT(*) FROM deliveries WHERE sent_at IS NOT NULL").await, 1);
}

async fn a_workspace_sees_only_its_own_deliveries(engine: Engine) {
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
