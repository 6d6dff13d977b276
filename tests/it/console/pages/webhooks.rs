//! Webhooks: how administrators of a workspace create them, with a secret that is shown until it is stored, and how they test,
//! change, disable and delete them, replace their keys and send deliveries again.

use mintmark::kernel::Manager;
use mintmark::ledger::AuditFilter;
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::webhooks::WebhookChange;
use serde_json::json;

use super::{error_at, fill, form_at};
use crate::support::{Browser, Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    a_webhook_is_created_tested_and_deleted,
    errors_are_shown_beside_their_fields,
    keys_are_replaced_once_even_if_the_form_is_sent_twice,
    a_viewer_only_reads_and_a_platform_administrator_chooses_the_workspace,
    a_webhook_is_changed_disabled_and_enabled,
);

const LIST: &str = "/console/webhooks?workspace_id=acme";
const NEW: &str = "/console/webhooks/new?workspace_id=acme";
// Nothing listens on this port, so deliveries fail.
const URL: &str = "http://127.0.0.1:9/in";

async fn furnished(engine: Engine) -> TestApp {
    let app = TestApp::start_with(engine, "outbound.allow = [\"127.0.0.1\"]").await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({"name": "Acme India"})).await;
    app
}

async fn ann(app: &TestApp) -> Browser<'_> {
    app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await
}

/// Creates a webhook and confirms that its secret is stored. Returns the page of the webhook.
async fn created(browser: &Browser<'_>) -> Page {
    let made = fill(browser, NEW, &[("url", URL), ("events", "client.*\nsecret.created")]).await;
    let shown = browser.get(&made.location()).await.must_be(200);
    let stored = format!("{}/stored", made.location());
    browser.submit(&form_at(&shown, &stored)).await.must_be(200)
}

async fn a_webhook_is_created_tested_and_deleted(engine: Engine) {
    let app = furnished(engine).await;
    let ann = ann(&app).await;
    let empty = ann.get(LIST).await.must_be(200);
    assert!(empty.says("No webhooks yet") && empty.says("about events in Acme India"), "{}", empty.text());
    let made =
        fill(&ann, NEW, &[("url", URL), ("events", "client.*, secret.created"), ("description", "On call")])
            .await;
    let here = made.location();
    assert!(here.starts_with("/console/webhooks/secrets/"), "{here}");
    let shown = ann.get(&here).await.must_be(200);
    let secret = shown.by_id("secret");
    assert!(secret.starts_with("whsec_") && shown.says("whpk_"), "{}", shown.text());
    // After a reload the secret is the same. In another session the page does not exist.
    assert_eq!(ann.get(&here).await.by_id("secret"), secret);
    app.signed_in("ann@acme.example").await.get(&here).await.must_be(404);
    let page = ann.submit(&form_at(&shown, &format!("{here}/stored"))).await.must_be(200);
    assert!(
        page.says("erased here") && page.says("client.*, secret.created") && page.says("On call"),
        "{}",
        page.text()
    );
    assert!(!page.html.contains(&secret));
    let gone = ann.get(&here).await.must_be(410);
    assert!(gone.says("Replace the keys of the webhook"), "{}", gone.text());

    let webhook = page.path.split('?').next().unwrap().to_owned();
    assert!(
        page.says("Nothing was sent yet"),
        "it does not subscribe to the event of its own creation: {}",
        page.text()
    );
    let tested = ann.submit(&form_at(&page, &format!("{webhook}/test"))).await.must_be(200);
    assert!(tested.says("A test is on its way") && tested.says("not tried yet"), "{}", tested.text());
    app.worker.run_once().await.unwrap();
    let list = ann.get(&webhook).await.must_be(200);
    assert!(list.says("webhook.test") && list.says("next in"), "{}", list.text());
    assert!(list.says("It is failing"), "{}", list.text());
    let all = ann.open("/console/webhooks").await.must_be(200);
    assert!(all.says("Failing first failed") && !all.says("Active"), "{}", all.text());
    let delivery = ann.get(&list.link("webhook.test")).await.must_be(200);
    for words in
        ["Next attempt", "1 attempt", "What went wrong", "\"type\": \"webhook.test\"", "No body is kept"]
    {
        assert!(delivery.says(words), "{words}: {}", delivery.text());
    }
    let again = ann.submit(&form_at(&delivery, &format!("{}/resend", delivery.path))).await.must_be(200);
    assert!(again.says("The delivery is sent again") && again.says("Waiting"), "{}", again.text());

    let page = ann.get(&format!("{webhook}/delete")).await.must_be(200);
    let list = ann.submit(&form_at(&page, &format!("{webhook}/delete"))).await.must_be(200);
    assert!(list.says("The webhook is deleted") && list.says("No webhooks yet"), "{}", list.text());
    ann.get(&webhook).await.must_be(404);
}

async fn errors_are_shown_beside_their_fields(engine: Engine) {
    let app = furnished(engine).await;
    let ann = ann(&app).await;
    for (field, value, words) in [
        ("url", "", "Enter the URL that requests go to."),
        ("url", " ", "Enter the URL that requests go to."),
        ("url", "hooks", "URL cannot be requested: it is not a URL"),
        ("url", "ftp://a.example/", "it is not an https URL"),
        ("url", "https://10.0.0.1/", "Address not allowed"),
        ("url", "https://user@a.example/", "user name"),
        ("events", "client.*\nnothing", "names no event"),
        ("description", "a\tb", "control"),
    ] {
        let page = fill(&ann, NEW, &[("url", URL), (field, value)]).await.must_be(422);
        let said = error_at(&page, field).to_lowercase();
        assert!(said.contains(&words.to_lowercase()), "{field}={value}: {said}");
        assert_eq!(form_at(&page, NEW).value(field).replace("\r\n", "\n"), value, "what was typed is kept");
    }
    let change = WebhookChange { url: Member::Value(URL.to_owned()), ..WebhookChange::default() };
    for _ in 0..20 {
        let webhooks = &app.core.services.webhooks;
        webhooks.create_webhook(&Manager::command_line(), "acme", &change, None).await.unwrap();
    }
    let page = fill(&ann, NEW, &[("url", URL)]).await.must_be(422);
    assert!(page.says("The workspace has 20 webhooks"), "{}", page.text());
    let list = ann.get(LIST).await.must_be(200);
    assert!(list.says("at most 20 webhooks") && !list.html.contains("/webhooks/new"), "{}", list.text());
}

async fn keys_are_replaced_once_even_if_the_form_is_sent_twice(engine: Engine) {
    let app = furnished(engine).await;
    let ann = ann(&app).await;
    let page = created(&ann).await;
    let webhook = page.path.split('?').next().unwrap().to_owned();
    let form = form_at(&page, &format!("{webhook}/secrets"));
    let first = ann.send(&form).await.location();
    // Sent twice, the form replaces the keys once.
    assert_eq!(ann.send(&form).await.location(), first);
    let shown = ann.get(&first).await.must_be(200);
    assert!(
        shown.says("also sign for another 24 hours") && shown.by_id("secret").starts_with("whsec_"),
        "{}",
        shown.text()
    );
    let filter =
        AuditFilter { action: Some("webhook.secrets_replaced".to_owned()), ..AuditFilter::default() };
    let (ledger, caller) = (&app.core.services.ledger, Manager::command_line());
    let events = ledger.audit_events(&caller, &filter, &mintmark::model::page::Page::first(9)).await.unwrap();
    assert_eq!(events.items.len(), 1);
}

async fn a_viewer_only_reads_and_a_platform_administrator_chooses_the_workspace(engine: Engine) {
    let app = furnished(engine).await;
    created(&ann(&app).await).await;
    let eve = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let list = eve.get(LIST).await.must_be(200);
    assert!(list.says(URL) && !list.html.contains("/webhooks/new"), "{}", list.text());
    let page = eve.get(&list.link(URL)).await.must_be(200);
    assert!(page.says("whpk_") && !page.says("Danger zone") && !page.says("Send a test"), "{}", page.text());
    let root = app.platform_admin().await;
    // Without a workspace in the address, these are the webhooks of `platform`, for events in all workspaces.
    let platform = root.get("/console/webhooks").await.must_be(200);
    assert!(platform.says("in all workspaces") && platform.says("No webhooks yet"), "{}", platform.text());
    assert!(platform.html.contains("value=\"acme\"") && platform.says("Acme India"), "{}", platform.html);
    assert!(root.get(LIST).await.must_be(200).says(URL));
}

async fn a_webhook_is_changed_disabled_and_enabled(engine: Engine) {
    let app = furnished(engine).await;
    let ann = ann(&app).await;
    let page = created(&ann).await;
    let webhook = page.path.split('?').next().unwrap().to_owned();
    let edit = format!("{webhook}/edit");
    let form = form_at(&ann.get(&edit).await.must_be(200), &edit);
    assert_eq!((form.value("url"), form.value("events")), (URL, "client.*\nsecret.created"));
    assert!(ann.submit(&form).await.must_be(200).says("Nothing was different"));
    let changed =
        ann.submit(&form.clone().with("events", "").with("description", "Other")).await.must_be(200);
    assert!(
        changed.says("The webhook is changed")
            && changed.says("all but status_list.changed and audit.checkpoint"),
        "{}",
        changed.text()
    );
    // The form of a page that was opened before the change is refused.
    ann.send(&form.with("description", "Mine")).await.must_be(409);
    let disabled = ann.submit(&form_at(&changed, &format!("{webhook}/disable"))).await.must_be(200);
    assert!(disabled.says("Somebody disabled it") && !disabled.says("Send a test"), "{}", disabled.text());
    let enabled = ann.submit(&form_at(&disabled, &format!("{webhook}/enable"))).await.must_be(200);
    assert!(enabled.says("The webhook is active"), "{}", enabled.text());
}
