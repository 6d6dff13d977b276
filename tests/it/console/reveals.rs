//! A new secret or token is shown until the operator has stored it, for at most ten minutes. It is not lost by a reload, Back,
//! a double click, a second tab or a lost reply, and only the session that created it sees it.

use std::pin::pin;

use futures_util::future::{Either, join, select};
use mintmark::model::operator::Role;
use mintmark::model::reach::Reach;

use super::{client_of, create, furnish, new_client_form};
use crate::support::{Browser, Credentials, Engine, HtmlForm, TestApp, on_both_engines, until};

on_both_engines!(
    reload_and_back_show_the_same_secret,
    two_clicks_create_one_client,
    a_second_click_waits_for_a_first_request_that_hangs,
    a_lost_reply_is_recovered_by_sending_the_form_again,
    the_same_form_sent_again_creates_nothing,
    only_the_session_that_created_the_secret_sees_it,
    the_secret_is_erased_when_the_operator_has_stored_it,
    the_secret_is_erased_after_ten_minutes,
    a_token_is_created_once_and_shown_until_it_is_stored,
    a_second_secret_is_created_once_and_the_first_can_be_deleted,
);

/// How many clients there are besides the one that `bootstrap` made.
async fn clients(app: &TestApp) -> i64 {
    app.database.number("SELECT COUNT(*) FROM api_clients").await - 1
}

async fn reload_and_back_show_the_same_secret(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let shown = create(&browser, "SAP").await;
    for _ in 0..2 {
        let again = browser.get(&shown.path).await.must_be(200);
        assert_eq!(again.by_id("secret"), shown.by_id("secret"));
    }
    let tab = browser.tab().get(&shown.path).await.must_be(200);
    assert_eq!(tab.by_id("secret"), shown.by_id("secret"));
    let file = browser.get(&format!("{}/download", shown.path)).await.must_be(200);
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"mintmark-secret.txt\"");
    assert!(file.html.contains(&shown.by_id("secret")), "{}", file.html);
    assert_eq!(clients(&app).await, 1);
}

async fn two_clicks_create_one_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let draft = browser.submit(&new_client_form(&browser, "SAP").await).await.must_be(200);
    let form = draft.form("/drafts/");
    let tab = browser.tab();
    let (first, second, third) = tokio::join!(browser.send(&form), tab.send(&form), tab.send(&form));
    assert_eq!(first.location(), second.location());
    assert_eq!(first.location(), third.location());
    let [one, other] = [browser.follow(first).await, tab.follow(second).await];
    assert_eq!(one.by_id("secret"), other.by_id("secret"));
    assert_eq!(clients(&app).await, 1);
}

async fn a_second_click_waits_for_a_first_request_that_hangs(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let draft = browser.submit(&new_client_form(&browser, "SAP").await).await.must_be(200);
    let form = draft.form("/drafts/");
    // The first request waits for a transaction that does not end, and the second request waits for the first.
    let elsewhere = app.database.open().await;
    let mut blocking = elsewhere.begin().await.unwrap();
    blocking.lock_workspace(&Reach::Platform, "acme").await.unwrap().unwrap();
    let (tab, other) = (browser.tab(), browser.tab());
    let mut both = pin!(join(browser.send(&form), tab.send(&form)));
    let waiting_page = draft.path.replace("/drafts/", "/reveals/");
    let looked_at = pin!(async {
        until("the first request runs", async || other.get(&waiting_page).await.status == 200).await;
        app.database.someone_waits().await;
        other.get(&waiting_page).await.must_be(200)
    });
    let Either::Right((page, _)) = select(both.as_mut(), looked_at).await else {
        panic!("both requests were answered, although the first should hang");
    };
    assert!(page.html.contains("Nothing is created twice."), "{}", page.html);
    blocking.rollback().await.unwrap();
    let (first, second) = both.await;
    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(first.location(), second.location());
    assert_eq!(clients(&app).await, 1);
    elsewhere.close().await;
}

async fn a_lost_reply_is_recovered_by_sending_the_form_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let draft = browser.submit(&new_client_form(&browser, "SAP").await).await.must_be(200);
    let form = draft.form("/drafts/");
    // The first reply never arrives; another replica answers the second.
    let lost = browser.send(&form).await.location();
    let replica = app.replica(&format!("server.public_url = {:?}", app.base)).await;
    let elsewhere = Browser::new(&replica).with_cookies_of(&browser);
    let found = elsewhere.submit(&form).await.must_be(200);
    assert_eq!(found.path, lost);
    assert_eq!(found.by_id("secret"), browser.get(&lost).await.by_id("secret"));
    assert_eq!(clients(&app).await, 1);
    replica.stop().await;
}

async fn the_same_form_sent_again_creates_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "SAP").await;
    let draft = browser.submit(&form).await.must_be(200);
    let shown = browser.submit(&draft.form("/drafts/")).await.must_be(200);
    // After Back, the form is sent again, unchanged and changed, and then the summary. After that, the summary and *Change* are
    // opened.
    for form in [form.clone(), form.with("label", "Other"), draft.form("/drafts/")] {
        assert_eq!(browser.send(&form).await.location(), shown.path);
    }
    assert_eq!(browser.get(&draft.path).await.location(), shown.path);
    assert_eq!(browser.get(&draft.link("Change")).await.location(), shown.path);
    assert_eq!(clients(&app).await, 1);
    // The same after the secret was erased.
    browser.submit(&shown.form("/stored")).await.must_be(200);
    assert_eq!(browser.send(&draft.form("/drafts/")).await.location(), shown.path);
    assert_eq!(clients(&app).await, 1);
}

async fn only_the_session_that_created_the_secret_sees_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let admin = vec![Role::WorkspaceAdmin("acme".to_owned())];
    let browser = app.operator("ann@acme.example", admin.clone()).await;
    let shown = create(&browser, "SAP").await;
    let colleague = app.operator("bob@acme.example", admin).await;
    let same_person = app.signed_in("ann@acme.example").await;
    let root = app.platform_admin().await;
    for other in [&colleague, &same_person, &root] {
        let page = other.get(&shown.path).await.must_be(404);
        assert!(!page.html.contains("mms_"), "{}", page.html);
        other.get(&format!("{}/download", shown.path)).await.must_be(404);
        let form = HtmlForm { action: format!("{}/stored", shown.path), ..form_of(other).await };
        other.send(&form).await.must_be(404);
    }
    // The first letter of the last part is the kind of form: `c` creates a client, `s` adds a secret.
    for bad in ["/console/reveals/c", "/console/reveals/x", &shown.path.replace("/reveals/c", "/reveals/s")] {
        browser.get(bad).await.must_be(404);
    }
    // The session that created the client still sees its secret, until the client is deleted.
    browser.get(&shown.path).await.must_be(200);
    let page = browser.get(&format!("{}/delete", client_of(&shown))).await.must_be(200);
    browser.submit(&page.form("/delete").with("label", "SAP")).await.must_be(200);
    browser.get(&shown.path).await.must_be(404);
}

/// A form with the CSRF token of this browser's session.
async fn form_of(browser: &Browser<'_>) -> HtmlForm {
    browser.get(super::NEW).await.form("/api-clients/new")
}

async fn the_secret_is_erased_when_the_operator_has_stored_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let shown = create(&browser, "SAP").await;
    let secret = shown.by_id("secret");
    // Until the operator confirms that the secret is stored, the client's page links to it, but only in this session.
    let before = browser.get(&client_of(&shown)).await.must_be(200);
    assert!(before.says("The client secret was shown, and is not confirmed yet."), "{}", before.text());
    assert_eq!(before.link("Show it again"), shown.path);
    assert!(!app.signed_in("root@example.com").await.get(&client_of(&shown)).await.says("not confirmed"));
    let overview = browser.submit(&shown.form("/stored")).await.must_be(200);
    assert!(!overview.says("not confirmed"), "{}", overview.text());
    assert_eq!(overview.path, format!("{}?done=stored", client_of(&shown)));
    app.clock.advance(60);
    let gone = browser.get(&shown.path).await.must_be(410);
    assert!(gone.says("Confirmed at 14:13") && gone.says("Not stored? Add a new secret."), "{}", gone.text());
    assert_eq!(gone.link("Add a new secret"), format!("{}/secrets/new", client_of(&shown)));
    browser.get(&format!("{}/download", shown.path)).await.must_be(410);
    // Confirming again changes nothing.
    browser.submit(&shown.form("/stored")).await.must_be(200);
    let everything = app.database.session().await.everything().await;
    assert!(!everything.contains(&secret));
    let left = "SELECT COUNT(*) FROM idempotency_keys WHERE method = 'CONSOLE' AND LENGTH(sealed_reply) > 0";
    assert_eq!(app.database.number(left).await, 0);
}

async fn the_secret_is_erased_after_ten_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let shown = create(&browser, "SAP").await;
    app.clock.advance(599);
    browser.get(&shown.path).await.must_be(200);
    app.clock.advance(1);
    let gone = browser.get(&shown.path).await.must_be(410);
    assert!(gone.says("Erased at 14:23") && gone.says("Not stored? Add a new secret."), "{}", gone.text());
    // Housekeeping erases it in the database. The row stays, so that the form creates nothing again.
    let sealed =
        "SELECT COUNT(*) FROM idempotency_keys WHERE method = 'CONSOLE' AND LENGTH(sealed_reply) > 0";
    mintmark::jobs::housekeeping_once(&app.core.services).await;
    assert_eq!(app.database.number(sealed).await, 0);
    browser.get(&shown.path).await.must_be(410);
}

async fn a_token_is_created_once_and_shown_until_it_is_stored(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let client = client_of(&create(&browser, "SAP").await);
    let page = browser.get(&format!("{client}/tokens/new")).await.must_be(200);
    let form = page.form("/tokens/new");
    let tab = browser.tab();
    let (first, second) = tokio::join!(browser.send(&form), tab.send(&form));
    assert_eq!(first.location(), second.location());
    let shown = browser.follow(first).await.must_be(200);
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, 1);
    assert_eq!(browser.get(&shown.path).await.by_id("token"), shown.by_id("token"));
    app.signed_in("root@example.com").await.get(&shown.path).await.must_be(404);
    browser.submit(&shown.form("/stored")).await.must_be(200);
    let gone = browser.get(&shown.path).await.must_be(410);
    assert!(gone.says("Generate another token"), "{}", gone.text());
    // Without a product, no token is generated. (The nonce of this form has been used, so it is left out too.)
    let none = page.form("/tokens/new");
    let none = HtmlForm {
        fields: none.fields.into_iter().filter(|(name, _)| name != "scope" && name != "nonce").collect(),
        ..none
    };
    let refused = browser.send(&none).await.must_be(422);
    assert!(refused.by_id("scope-error").contains("Select at least one product"));
}

async fn a_second_secret_is_created_once_and_the_first_can_be_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let first = create(&browser, "SAP").await;
    let client = client_of(&first);
    let page = browser.get(&format!("{client}/secrets/new")).await.must_be(200);
    let form = page.form("/secrets/new").with("overlap", "3600");
    let shown = browser.submit(&form).await.must_be(200);
    assert!(shown.says("The other secrets stay valid for 1 hour."), "{}", shown.text());
    assert_ne!(shown.by_id("secret"), first.by_id("secret"));
    assert_eq!(browser.send(&form).await.location(), shown.path);
    // Two secrets of this client, and that of the client that `bootstrap` made.
    assert_eq!(app.database.number("SELECT COUNT(*) FROM client_secrets").await, 3);
    let list = browser.get(&format!("{client}/secrets")).await.must_be(200);
    assert!(list.says("The new secret is not used yet; the old secret was never used."), "{}", list.text());
    let [new, old] = [shown.by_id("secret"), first.by_id("secret")]
        .map(|client_secret| Credentials { client_id: first.by_id("client-id"), client_secret });
    app.access_token(&old, &[]).await;
    app.clock.advance(120);
    app.access_token(&new, &[]).await;
    let list = browser.get(&format!("{client}/secrets")).await.must_be(200);
    assert!(
        list.says(
            "the old secret was last used 2 minutes ago from 127.0.0.1. Wait until the last use of the old secret is an hour ago."
        ),
        "{}",
        list.text()
    );
    // *Delete* opens a page that asks first. The page warns only if the secret is the last one.
    let delete = browser
        .get(&list.link(&format!("Delete the secret ending in {}", &old.client_secret[49..])))
        .await
        .must_be(200);
    assert!(!delete.says("It is the only one"), "{}", delete.text());
    let list = browser.submit(&delete.form("/delete")).await.must_be(200);
    assert!(list.says("The secret is deleted"), "{}", list.text());
    assert_eq!(app.token(&old, &[]).await.status(), 401);
}
