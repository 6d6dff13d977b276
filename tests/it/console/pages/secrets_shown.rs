//! An audit event is recorded each time that a page shows a secret and each time that a secret is downloaded. The event does
//! not contain the secret.

use mintmark::model::operator::Role;
use serde_json::{Value, json};

use super::super::{client_of, create, furnish};
use super::{fill, form_at};
use crate::support::{Administrator, Browser, Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    an_event_is_recorded_each_time_a_secret_is_shown,
    a_secret_that_is_not_shown_leaves_no_event,
    tokens_webhook_keys_and_setup_links_leave_events_too,
    a_secret_is_not_shown_if_the_event_cannot_be_recorded,
);

/// The events `secret.shown`, the oldest first.
async fn shown(admin: &Administrator<'_>) -> Vec<Value> {
    let list: Value = admin.get("/v1/audit-events?action=secret.shown&limit=200").await.json().await.unwrap();
    list["items"].as_array().unwrap().iter().rev().cloned().collect()
}

/// Checks that an event is about this reply, and does not contain the secret that the reply shows.
#[track_caller]
fn is_of(event: &Value, answer: &Page, secret: &str, what: &str, given_as: &str) {
    assert_eq!(event["detail"], json!({"what": what, "as": given_as}));
    assert_eq!(event["request_id"], answer.header("x-request-id"));
    assert_eq!(event["source_ip"], "127.0.0.1");
    assert!(!secret.is_empty() && !event.to_string().contains(secret), "{event}");
}

async fn ann(app: &TestApp) -> Browser<'_> {
    app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await
}

async fn operator_id(app: &TestApp, email: &str) -> String {
    let id = format!("SELECT operator_id FROM operators WHERE email = '{email}'");
    app.database.session().await.texts(&id).await.remove(0)
}

async fn an_event_is_recorded_each_time_a_secret_is_shown(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let hook = json!({"url": "https://hooks.example/", "events": ["secret.*"]});
    admin.create("/v1/workspaces/acme/webhooks", &hook).await;
    let browser = ann(&app).await;
    let page = create(&browser, "SAP").await;
    let (client_id, secret) = (page.by_id("client-id"), page.by_id("secret"));
    let mails = "SELECT COUNT(*) FROM deliveries WHERE channel = 'mail'";
    let before = app.database.number(mails).await;
    let again = browser.get(&page.path).await.must_be(200);
    let file = browser.get(&format!("{}/download", page.path)).await.must_be(200);
    let tested = browser.get(&format!("{}?test=1", page.path)).await.must_be(200);
    let events = shown(&admin).await;
    assert_eq!(events.len(), 4, "{events:?}");
    let of = format!("SELECT secret_id FROM client_secrets WHERE client_id = '{client_id}'");
    let secret_id = app.database.session().await.texts(&of).await.remove(0);
    let actor = format!("operator:{}", operator_id(&app, "ann@acme.example").await);
    let answers = [(&page, "page"), (&again, "page"), (&file, "download"), (&tested, "page")];
    for (event, (answer, given_as)) in events.iter().zip(answers) {
        is_of(event, answer, &secret, "client_secret", given_as);
        assert_eq!((&event["actor"], &event["workspace_id"]), (&json!(actor), &json!("acme")));
        assert_eq!((&event["client_id"], &event["target"]), (&json!(client_id), &json!(secret_id)));
    }
    // Two requests at the same time are two events.
    let (path, tab) = (page.path.clone(), browser.tab());
    let (one, other) = tokio::join!(browser.get(&path), tab.get(&path));
    assert_eq!(
        (one.must_be(200).by_id("secret"), other.must_be(200).by_id("secret")),
        (secret.clone(), secret)
    );
    assert_eq!(shown(&admin).await.len(), 6);
    // Each event goes to the webhook that subscribes to it, and causes no mail.
    let sent = "SELECT COUNT(*) FROM deliveries WHERE channel = 'webhook' AND kind = 'secret.shown'";
    assert_eq!((app.database.number(sent).await, app.database.number(mails).await), (6, before));
    let history = browser.get(&format!("{}/history", client_of(&page))).await.must_be(200);
    assert!(
        history.says("downloaded a secret of the API client SAP") && history.says("As: download"),
        "{}",
        history.text()
    );
}

async fn a_secret_that_is_not_shown_leaves_no_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = ann(&app).await;
    let colleague = app.operator("bob@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let same_person = app.signed_in("ann@acme.example").await;
    let (first, second) = (create(&browser, "SAP").await, create(&browser, "Tally").await);
    assert_eq!(shown(&admin).await.len(), 2);
    let download = |page: &Page| format!("{}/download", page.path);
    for other in [&colleague, &same_person] {
        other.get(&first.path).await.must_be(404);
        other.get(&download(&first)).await.must_be(404);
    }
    browser.get("/console/reveals/nothing").await.must_be(404);
    browser.submit(&first.form("/stored")).await.must_be(200);
    browser.get(&first.path).await.must_be(410);
    browser.get(&download(&first)).await.must_be(410);
    app.clock.advance(600);
    browser.get(&second.path).await.must_be(410);
    mintmark::jobs::housekeeping_once(&app.core.services).await;
    browser.get(&second.path).await.must_be(410);
    browser.get(&download(&second)).await.must_be(410);
    assert_eq!(shown(&admin).await.len(), 2);
}

async fn tokens_webhook_keys_and_setup_links_leave_events_too(engine: Engine) {
    let app = TestApp::start_with(engine, "outbound.allow = [\"127.0.0.1\"]").await;
    let admin = furnish(&app).await;
    let root = app.platform_admin().await;
    let made = create(&root, "SAP").await;
    let client = client_of(&made);
    let form = root.get(&format!("{client}/secrets/new")).await.must_be(200).form("/secrets/new");
    let secret = root.submit(&form).await.must_be(200);
    let form = root.get(&format!("{client}/tokens/new")).await.must_be(200).form("/tokens/new");
    let token = root.submit(&form).await.must_be(200);
    let file = root.get(&format!("{}/download", token.path)).await.must_be(200);
    let new = "/console/webhooks/new?workspace_id=acme";
    let keys = fill(&root, new, &[("url", "http://127.0.0.1:9/in"), ("events", "client.*")]).await;
    let keys = root.follow(keys).await.must_be(200);
    let form = form_at(&root.get("/console/operators/new").await.must_be(200), "/console/operators/new");
    let form =
        form.with("name", "Eve").with("email", "eve@acme.example").with("role", "workspace_admin:acme");
    let link = root.submit(&form).await.must_be(200);

    let events = shown(&admin).await;
    let actor = format!("operator:{}", operator_id(&app, "root@example.com").await);
    assert!(events.iter().all(|event| event["actor"] == *actor), "{events:?}");
    let jti = app.database.session().await.texts("SELECT jti FROM access_tokens").await.remove(0);
    let webhook_id = app.database.session().await.texts("SELECT webhook_id FROM webhooks").await.remove(0);
    let eve = operator_id(&app, "eve@acme.example").await;
    let client_id = made.by_id("client-id");
    let first = events[0]["target"].as_str().unwrap();
    let other = format!(
        "SELECT secret_id FROM client_secrets WHERE client_id = '{client_id}' AND secret_id <> '{first}'"
    );
    let secret_id = app.database.session().await.texts(&other).await.remove(0);
    let (acme, client_id, none) = (json!("acme"), json!(client_id), Value::Null);
    let token_text = token.by_id("token");
    for (event, (answer, in_the_clear, what, given_as), of) in [
        (
            1,
            (&secret, secret.by_id("secret"), "client_secret", "page"),
            [&acme, &client_id, &json!(secret_id)],
        ),
        (2, (&token, token_text.clone(), "access_token", "page"), [&acme, &client_id, &json!(jti)]),
        (3, (&file, token_text, "access_token", "download"), [&acme, &client_id, &json!(jti)]),
        (4, (&keys, keys.by_id("secret"), "signing_secret", "page"), [&acme, &none, &json!(webhook_id)]),
        (5, (&link, link.by_id("link"), "setup_link", "page"), [&none, &none, &json!(eve)]),
    ] {
        let event = &events[event];
        is_of(event, answer, &in_the_clear, what, given_as);
        assert_eq!([&event["workspace_id"], &event["client_id"], &event["target"]], of, "{what}");
    }
    assert_eq!(events.len(), 6);
    // The keys and the link are not shown after the operator has confirmed them, and there are no more events.
    for (page, stored) in [(&keys, "/stored"), (&link, "/stored")] {
        root.submit(&page.form(stored)).await.must_be(200);
        root.get(&page.path).await.must_be(410);
    }
    assert_eq!(shown(&admin).await.len(), 6);
    let trail = root.get("/console/audit?action=secret.shown").await.must_be(200);
    for words in
        ["was shown the setup link of Eve", "was shown the keys of the webhook", "downloaded an access token"]
    {
        assert!(trail.says(words), "{words}: {}", trail.text());
    }
}

async fn a_secret_is_not_shown_if_the_event_cannot_be_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = ann(&app).await;
    let page = create(&browser, "SAP").await;
    let secret = page.by_id("secret");
    app.database.execute("ALTER TABLE audit_trees RENAME TO away").await;
    for path in [page.path.clone(), format!("{}/download", page.path)] {
        let refused = browser.get(&path).await.must_be(503);
        assert!(!refused.html.contains(&secret) && refused.header("content-type").starts_with("text/html"));
    }
    app.database.execute("ALTER TABLE away RENAME TO audit_trees").await;
    assert_eq!(browser.get(&page.path).await.must_be(200).by_id("secret"), secret);
    assert_eq!(shown(&admin).await.len(), 2);
}
