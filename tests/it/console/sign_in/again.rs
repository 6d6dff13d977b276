//! A fresh sign-in is asked for before pages that change the account.

use super::super::person::{PASSWORD, Person, named_app, named_browser, options};
use crate::support::{Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    after_five_minutes_the_password_is_asked_for_again,
    a_passkey_confirms_too,
    a_passkey_of_somebody_else_does_not_confirm,
);

async fn after_five_minutes_the_password_is_asked_for_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    app.clock.advance(240);
    let form = browser.get("/console/account/password").await.must_be(200).form("/account/password");
    app.clock.advance(60);
    // The account is still shown, but not the pages that change it.
    browser.get("/console/account").await.must_be(200);
    let asked = browser.get("/console/account/password").await;
    assert_eq!(asked.location(), "/console/sign-in/again?next=%2Fconsole%2Faccount%2Fpassword");
    let sent = browser.send(&form.with("password", "another long password")).await;
    assert_eq!(sent.location(), "/console/sign-in/again?next=%2Fconsole", "nothing was changed");
    let page = browser.follow(asked).await.must_be(200);
    let form = page.form("/sign-in/again");
    let page = browser.send(&form).await.must_be(422);
    assert_eq!(page.by_id("password-error"), "Error: Enter your password.");
    // The error does not say which of the two is wrong.
    for (password, code) in [("some other password", ada.code(&app)), (PASSWORD, "123456".to_owned())] {
        let page =
            browser.send(&form.clone().with("password", password).with("code", &code)).await.must_be(422);
        assert!(page.says("That is not right. Check what you typed"), "{}", page.text());
    }
    let before = browser.cookie("mintmark").unwrap();
    let page =
        browser.submit(&form.with("password", PASSWORD).with("code", &ada.code(&app))).await.must_be(200);
    assert_eq!(page.path, "/console/account/password");
    let old = browser.tab();
    assert_ne!(browser.cookie("mintmark").unwrap(), before, "the cookie is renewed");
    old.set_cookie("mintmark", &before);
    assert_eq!(old.get("/console/account").await.status, 303);
    // The password with a recovery code is accepted too.
    app.clock.advance(301);
    let page = browser.open("/console/account/password").await;
    let form = page.form("/sign-in/again").with("password", PASSWORD).with("code", &ada.codes[0]);
    assert_eq!(browser.submit(&form).await.must_be(200).path, "/console/account/password");
}

async fn a_passkey_confirms_too(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    let mut passkey = Person::new(&app, "ada@example.com").await.set_up_passkey(&browser).await;
    app.clock.advance(301);
    let page = browser.open("/console/account/passkeys/new").await.must_be(200);
    assert_eq!(page.title(), "Confirm that it is you – Mintmark");
    assert!(!page.says("your password"), "{}", page.text());
    let form = page.form("/again/passkey");
    let answer = passkey.sign_in(&options(&browser, &form).await);
    let page = browser.submit(&form.with("credential", &answer)).await.must_be(200);
    assert_eq!(page.path, "/console/account/passkeys/new");
}

async fn a_passkey_of_somebody_else_does_not_confirm(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    Person::new(&app, "ada@example.com").await.set_up_passkey(&browser).await;
    let mut theirs = Person::new(&app, "bob@example.com").await.set_up_passkey(&named_browser(&app)).await;
    app.clock.advance(301);
    let form = browser.open("/console/account/passkeys/new").await.form("/again/passkey");
    let answer = theirs.sign_in(&options(&browser, &form).await);
    let page = browser.send(&form.with("credential", &answer)).await.must_be(422);
    assert!(page.says("That passkey cannot be used."), "{}", page.text());
}
