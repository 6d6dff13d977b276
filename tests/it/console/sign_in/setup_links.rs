//! Setup links: they can be opened any number of times and used once, within a day.

use super::super::person::{PASSWORD, Person, key_on, named_app, named_browser, sign_in_with};
use crate::support::{Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_link_works_once,
    a_link_ends_after_a_day,
    a_link_is_replaced_by_the_next,
    a_link_replaces_all_ways_in_and_ends_sessions,
    errors_are_shown_beside_their_fields_and_the_link_still_works,
    every_browser_gets_its_own_authenticator_key,
);

async fn a_link_works_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    // A mail scanner opens it, three times.
    for _ in 0..3 {
        let page = Browser::new(&app).get(&ada.link).await.must_be(200);
        assert!(page.says("Welcome, Name of ada@example.com") && !page.says("removes your passkeys"));
    }
    let (first, second) = (Browser::new(&app), Browser::new(&app));
    let page = second.get(&ada.link).await.must_be(200);
    let key = key_on(&page);
    let form = page.form("/setup/").with("password", PASSWORD);
    let link = ada.link.clone();
    ada.set_up(&app, &first).await;
    let form = form.with("code", &super::super::person::code(&key, &app));
    let page = second.send(&form).await.must_be(410);
    assert!(page.says("This link does not work any more") && page.says("mintmark operators setup-link"));
    assert!(second.cookie("mintmark").is_none());
    second.get(&link).await.must_be(410);
    second.get("/console/setup/nonsense").await.must_be(410);
}

async fn a_link_ends_after_a_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    let browser = Browser::new(&app);
    app.clock.advance(86_399);
    browser.get(&ada.link).await.must_be(200);
    app.clock.advance(1);
    browser.get(&ada.link).await.must_be(410);
}

async fn a_link_is_replaced_by_the_next(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    let next = ada.new_link(&app).await;
    let browser = Browser::new(&app);
    browser.get(&ada.link).await.must_be(410);
    browser.get(&next).await.must_be(200);
}

async fn a_link_replaces_all_ways_in_and_ends_sessions(engine: Engine) {
    let app = named_app(engine).await;
    let mut ada = Person::new(&app, "ada@example.com").await;
    let before = named_browser(&app);
    let mut passkey = ada.set_up_passkey(&before).await;
    // Higher than before, so that the counter is not why the passkey is refused.
    passkey.count = 5;
    ada.link = ada.new_link(&app).await;
    let browser = named_browser(&app);
    let page = browser.get(&ada.link).await.must_be(200);
    assert!(page.says("removes your passkeys, password and linked accounts"), "{}", page.text());
    before.get("/console/account").await.must_be(200);
    let ada = ada.set_up(&app, &browser).await;
    assert_eq!(before.get("/console/account").await.status, 303, "sessions end");
    assert_eq!(sign_in_with(&named_browser(&app), &mut passkey).await.status, 422, "the passkey is gone");
    ada.sign_in(&app, &named_browser(&app)).await.must_be(200);
}

async fn errors_are_shown_beside_their_fields_and_the_link_still_works(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    let browser = Browser::new(&app);
    let page = browser.get(&ada.link).await.must_be(200);
    let page = browser.send(&page.form("/setup/")).await.must_be(422);
    assert_eq!(page.by_id("password-error"), "Error: Choose a password.");
    assert_eq!(page.by_id("code-error"), "Error: Enter the six digits that the app shows.");
    let page = browser
        .send(&page.form("/setup/").with("password", "too short").with("code", "12"))
        .await
        .must_be(422);
    assert!(page.by_id("code-error").contains("not what the app shows"), "{}", page.text());
    let code = super::super::person::code(&key_on(&page), &app);
    let page = browser.send(&page.form("/setup/").with("password", "too short").with("code", &code)).await;
    let page = page.must_be(422);
    assert_eq!(
        page.by_id("password-error"),
        "Error: The password must have at least 12 characters; it has 9."
    );
    assert!(page.html.contains("autocomplete=\"new-password\""));
    ada.set_up(&app, &browser).await;
}

async fn every_browser_gets_its_own_authenticator_key(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    let (scanner, browser) = (Browser::new(&app), Browser::new(&app));
    let theirs = key_on(&scanner.get(&ada.link).await);
    let page = browser.get(&ada.link).await;
    assert_ne!(theirs, key_on(&page));
    assert_eq!(key_on(&browser.get(&ada.link).await), key_on(&page), "a page may be loaded again");
    let form = page.form("/setup/").with("password", PASSWORD);
    browser.send(&form.with("code", &super::super::person::code(&theirs, &app))).await.must_be(422);
}
