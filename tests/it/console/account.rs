//! The account of the signed-in operator: ways to sign in, recovery codes, sessions.

use super::person::{PASSWORD, Person, code, key_on, named_app, named_browser, options, sign_in_with};
use crate::support::{Authenticator, Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_second_passkey_ends_other_sessions_and_renews_this_one,
    passkeys_are_renamed_and_removed,
    the_last_way_to_sign_in_cannot_be_removed,
    a_passkey_of_somebody_else_is_not_found,
    a_password_is_changed_and_other_sessions_end,
    a_new_authenticator_app_replaces_the_old_one,
    recovery_codes_are_shown_until_they_are_stored,
    sessions_are_listed_and_ended,
);

async fn a_second_passkey_ends_other_sessions_and_renews_this_one(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    let mut first = Person::new(&app, "ada@example.com").await.set_up_passkey(&browser).await;
    let other = named_browser(&app);
    sign_in_with(&other, &mut first).await;
    let before = browser.cookie("mintmark").unwrap();
    let page = browser.get("/console/account/passkeys/new").await.must_be(200);
    let form = page.form("/passkeys/new");
    let asked = options(&browser, &form).await;
    assert_eq!(asked["excludeCredentials"][0]["id"], first.id(), "{asked}");
    let mut second = Authenticator::new(browser.origin());
    let page = browser.submit(&form.with("credential", &second.register(&asked))).await.must_be(200);
    assert_eq!(page.path, "/console/account");
    assert_ne!(browser.cookie("mintmark").unwrap(), before);
    assert_eq!(other.get("/console/account").await.status, 303);
    assert_eq!(sign_in_with(&named_browser(&app), &mut second).await.status, 303);
    // Registering the same passkey again is refused, and the page says why.
    let form = browser.get("/console/account/passkeys/new").await.form("/passkeys/new");
    let answer = second.register(&options(&browser, &form).await);
    let page = browser.send(&form.with("credential", &answer)).await.must_be(409);
    assert!(page.says("This passkey is set up already: use it to sign in."), "{}", page.text());
}

async fn passkeys_are_renamed_and_removed(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    let first = Person::new(&app, "ada@example.com").await.set_up_passkey(&browser).await;
    let form = browser.get("/console/account/passkeys/new").await.form("/passkeys/new");
    let answer = Authenticator::new(browser.origin()).register(&options(&browser, &form).await);
    browser.submit(&form.with("credential", &answer)).await.must_be(200);
    let path = format!("/console/account/passkeys/{}", first.id());
    let page = browser.get(&path).await.must_be(200);
    let form = page.forms().into_iter().find(|form| form.action == path).unwrap();
    let page = browser.send(&form.clone().with("name", " ")).await.must_be(422);
    assert_eq!(page.by_id("name-error"), "Error: Enter a name.");
    let page = browser.send(&form.clone().with("name", "a\u{202e}b")).await.must_be(422);
    assert!(page.by_id("name-error").starts_with("Error: The name "), "{}", page.text());
    let hostile = "<script>alert(1)</script> \"x\"";
    let page = browser.submit(&form.with("name", hostile)).await.must_be(200);
    assert!(page.says(hostile) && !page.html.contains("<script>alert"), "{}", page.html);
    let page = browser.get(&path).await.must_be(200);
    let page = browser.submit(&page.form("/remove")).await.must_be(200);
    assert!(!page.says("alert(1)"));
    browser.get(&path).await.must_be(404);
}

async fn the_last_way_to_sign_in_cannot_be_removed(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    let passkey = Person::new(&app, "ada@example.com").await.set_up_passkey(&browser).await;
    let page = browser.get(&format!("/console/account/passkeys/{}", passkey.id())).await.must_be(200);
    let page = browser.send(&page.form("/remove")).await.must_be(409);
    assert!(page.says("add another way to sign in first"), "{}", page.text());
    assert_eq!(page.link("Back to your account"), "/console/account");
}

async fn a_passkey_of_somebody_else_is_not_found(engine: Engine) {
    let app = named_app(engine).await;
    let (browser, theirs) = (named_browser(&app), named_browser(&app));
    Person::new(&app, "ada@example.com").await.set_up_passkey(&browser).await;
    let passkey = Person::new(&app, "bob@example.com").await.set_up_passkey(&theirs).await;
    let path = format!("/console/account/passkeys/{}", passkey.id());
    let mut form = theirs.get(&path).await.must_be(200).form("/remove");
    browser.get(&path).await.must_be(404);
    let csrf = browser.get("/console/account").await.form("/sign-out");
    form = form.with("csrf", csrf.value("csrf"));
    browser.send(&form).await.must_be(404);
    form.action = path;
    browser.send(&form.with("name", "mine")).await.must_be(404);
}

async fn a_password_is_changed_and_other_sessions_end(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (browser, other) = (Browser::new(&app), Browser::new(&app));
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    ada.sign_in(&app, &other).await.must_be(200);
    let form = browser.get("/console/account/password").await.must_be(200).form("/account/password");
    let page = browser.send(&form.clone().with("password", "short")).await.must_be(422);
    assert!(page.by_id("password-error").contains("at least 12 characters"), "{}", page.text());
    let page = browser.submit(&form.with("password", "another long password")).await.must_be(200);
    assert_eq!(page.path, "/console/account");
    assert_eq!(other.get("/console/account").await.status, 303);
    ada.send_password(&Browser::new(&app), PASSWORD).await.must_be(422);
    assert_eq!(
        ada.send_password(&Browser::new(&app), "another long password").await.location(),
        "/console/sign-in/code"
    );
}

async fn a_new_authenticator_app_replaces_the_old_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let mut ada = Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    let page = browser.get("/console/account/authenticator").await.must_be(200);
    assert!(page.html.contains("<svg class=\"qr\""), "{}", page.html);
    let key = key_on(&page);
    assert_ne!(key, ada.key);
    let form = page.form("/account/authenticator");
    browser.send(&form.clone().with("code", &ada.code(&app))).await.must_be(422);
    let page = browser.submit(&form.with("code", &code(&key, &app))).await.must_be(200);
    assert!(page.says("10 left of 10"), "{}", page.text());
    // The code that was used works only once. After 30 seconds the app shows another.
    app.clock.advance(30);
    let visitor = Browser::new(&app);
    let page = ada.send_password(&visitor, PASSWORD).await;
    let page = visitor.follow(page).await;
    let page = visitor.send(&page.form("/code").with("code", &ada.code(&app))).await.must_be(422);
    ada.key = key;
    visitor.send(&page.form("/code").with("code", &ada.code(&app))).await.must_be(303);
    // The page offers a new key each time.
    assert_ne!(key_on(&browser.get("/console/account/authenticator").await), ada.key);
}

async fn recovery_codes_are_shown_until_they_are_stored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    let page = browser.get("/console/account/recovery-codes").await.must_be(200);
    let shown = browser.submit(&page.form("/recovery-codes")).await.must_be(200);
    let codes = shown.by_id("codes");
    assert_eq!(browser.get(&shown.path).await.by_id("codes"), codes, "the page may be reloaded");
    assert_ne!(codes, ada.codes.join(" "));
    // Another browser of the same person does not see them.
    let other = Browser::new(&app);
    let csrf = ada.sign_in(&app, &other).await.must_be(200).form("/sign-out").value("csrf").to_owned();
    other.get(&shown.path).await.must_be(410);
    // Nor can that browser erase them with *I have stored them*.
    let stored = other.submit(&shown.form("/stored").with("csrf", &csrf)).await.must_be(200);
    assert_eq!(stored.path, "/console/account");
    assert_eq!(browser.get(&shown.path).await.must_be(200).by_id("codes"), codes);
    let page = browser.submit(&shown.form("/stored")).await.must_be(200);
    assert_eq!(page.path, "/console/account");
    let page = browser.get(&shown.path).await.must_be(410);
    assert_eq!(page.link("Make new recovery codes"), "/console/account/recovery-codes");
    // After ten minutes they are no longer shown either.
    let page = browser.get("/console/account/recovery-codes").await.must_be(200);
    let shown = browser.submit(&page.form("/recovery-codes")).await.must_be(200);
    app.clock.advance(600);
    browser.get(&shown.path).await.must_be(410);
}

async fn sessions_are_listed_and_ended(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    let others = [Browser::new(&app), Browser::new(&app), Browser::new(&app)];
    for other in &others {
        ada.sign_in(&app, other).await.must_be(200);
    }
    let page = browser.get("/console/account").await.must_be(200);
    assert!(
        page.says("This one") && page.says("127.0.0.1") && page.says("by password and app"),
        "{}",
        page.text()
    );
    let ends: Vec<_> = page.forms().into_iter().filter(|form| form.action.ends_with("/end")).collect();
    assert_eq!(ends.len(), 3, "every session but this one can be ended");
    let page = browser.submit(&ends[0]).await.must_be(200);
    assert_eq!(page.forms().iter().filter(|form| form.action.ends_with("/end")).count(), 2);
    // Ending a session again changes nothing.
    browser.submit(&ends[0]).await.must_be(200);
    // Nobody can end a session of somebody else.
    let theirs = Browser::new(&app);
    Person::new(&app, "bob@example.com").await.set_up(&app, &theirs).await;
    let csrf = theirs.get("/console/account").await.form("/sign-out").value("csrf").to_owned();
    theirs.submit(&ends[1].clone().with("csrf", &csrf)).await.must_be(200);
    let mut left = 0;
    for other in &others {
        left += usize::from(other.get("/console/account").await.status == 200);
    }
    assert_eq!(left, 2);
    browser.submit(&page.form("/sessions/end-others")).await.must_be(200);
    for other in &others {
        assert_eq!(other.get("/console/account").await.status, 303);
    }
    browser.get("/console/account").await.must_be(200);
}
