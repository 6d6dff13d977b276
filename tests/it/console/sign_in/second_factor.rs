//! The second factor: each code works once, and the step between password and code ends after ten minutes.

use super::super::person::{PASSWORD, Person, password_form};
use crate::support::{Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_code_of_the_app_works_once,
    a_recovery_code_works_once,
    a_wrong_code_may_be_corrected,
    the_step_between_password_and_code_expires,
    if_the_second_factor_is_optional_a_password_is_enough,
);

async fn a_code_of_the_app_works_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    let code = ada.code(&app);
    for (browser, status) in [(Browser::new(&app), 303), (Browser::new(&app), 422)] {
        let page = ada.send_password(&browser, PASSWORD).await;
        assert_eq!(page.location(), "/console/sign-in/code");
        let page = browser.follow(page).await.must_be(200);
        let page = browser.send(&page.form("/code").with("code", &code)).await.must_be(status);
        if status == 422 {
            assert!(page.by_id("code-error").contains("used before"), "{}", page.text());
            assert!(browser.cookie("mintmark").is_none());
        }
    }
}

async fn a_recovery_code_works_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    assert_eq!(ada.codes.len(), 10);
    let code = ada.codes[3].to_uppercase().replace('-', " ");
    for (browser, status) in [(Browser::new(&app), 303), (Browser::new(&app), 422)] {
        let page = ada.send_password(&browser, PASSWORD).await;
        let page = browser.follow(page).await.must_be(200);
        let page = browser.send(&page.form("/code").with("recovery", &code)).await.must_be(status);
        if status == 422 {
            assert!(page.by_id("recovery-error").contains("used before"), "{}", page.text());
            assert!(browser.cookie("mintmark").is_none());
        } else {
            let page = browser.follow(page).await.must_be(200);
            assert!(page.says("9 left of 10"), "{}", page.text());
        }
    }
}

async fn a_wrong_code_may_be_corrected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    let browser = Browser::new(&app);
    let page = ada.send_password(&browser, PASSWORD).await;
    let page = browser.follow(page).await.must_be(200);
    let page = browser.send(&page.form("/code")).await.must_be(422);
    assert_eq!(page.by_id("code-error"), "Error: Enter the six digits that the app shows.");
    let page = browser.send(&page.form("/code").with("code", "12 34")).await.must_be(422);
    let page = browser.submit(&page.form("/code").with("code", &ada.code(&app))).await.must_be(200);
    assert_eq!(page.path, "/console/account");
    // Five codes may be tried without waiting, right or wrong: two above (a form without a code does not count) and three here.
    // Then there is one try a minute.
    let browser = Browser::new(&app);
    let page = ada.send_password(&browser, PASSWORD).await;
    let mut page = browser.follow(page).await.must_be(200);
    for _ in 0..3 {
        page = browser.send(&page.form("/code").with("code", "000 00")).await.must_be(422);
    }
    let page = browser.send(&page.form("/code").with("code", "000 00")).await.must_be(429);
    assert!(page.says("Wait") && !page.header("retry-after").is_empty(), "{}", page.text());
}

async fn the_step_between_password_and_code_expires(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    // Before a password there is no page for a code.
    let stranger = Browser::new(&app);
    assert_eq!(stranger.get("/console/sign-in/code").await.location(), "/console/sign-in");
    let browser = Browser::new(&app);
    let page = ada.send_password(&browser, PASSWORD).await;
    let page = browser.follow(page).await.must_be(200);
    // A code is accepted only from the browser that sent the password.
    let page_of_stranger = stranger.get("/console/sign-in").await;
    let mut form = password_form(&page_of_stranger).with("code", &ada.code(&app));
    "/console/sign-in/code".clone_into(&mut form.action);
    assert_eq!(stranger.send(&form).await.location(), "/console/sign-in?why=late");
    app.clock.advance(600);
    let late = browser.send(&page.form("/code").with("code", &ada.code(&app))).await;
    assert_eq!(late.location(), "/console/sign-in?why=late");
    assert!(
        browser
            .follow(late)
            .await
            .says("This step is over or took longer than ten minutes. Please begin again.")
    );
    assert!(browser.cookie("mintmark").is_none());
}

async fn if_the_second_factor_is_optional_a_password_is_enough(engine: Engine) {
    let app = TestApp::start_with(engine, "console.second_factor = \"optional\"").await;
    let ada = Person::new(&app, "ada@example.com").await;
    let browser = Browser::new(&app);
    let page = browser.get(&ada.link).await.must_be(200);
    assert!(!page.says("authenticator app"), "{}", page.text());
    let form = page.form("/setup/").with("password", PASSWORD).with("next", "/console/account");
    let page = browser.submit(&form).await.must_be(200);
    assert!(page.says("Authenticator app Not set up"), "{}", page.text());
    let browser = Browser::new(&app);
    assert_eq!(ada.send_password(&browser, PASSWORD).await.location(), "/console/account");
    assert!(browser.cookie("mintmark").is_some());
}
