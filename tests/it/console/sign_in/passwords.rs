//! Signing in with a password: which errors are shown, and which page comes next.

use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::operators::OperatorChange;

use super::super::person::{Person, named_app, named_browser, password_form};
use crate::support::{Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_password_and_a_code_lead_to_the_page_that_was_asked_for,
    nobody_learns_which_addresses_have_accounts,
    a_missing_value_is_reported_beside_its_field,
    after_sign_in_the_browser_stays_in_the_console,
    too_many_attempts_are_slowed_and_the_page_says_what_to_do,
);

async fn a_password_and_a_code_lead_to_the_page_that_was_asked_for(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    let browser = Browser::new(&app);
    let asked = browser.get("/console/account").await;
    assert_eq!(asked.location(), "/console/sign-in?next=%2Fconsole%2Faccount");
    let page = browser.follow(asked).await.must_be(200);
    assert_eq!((page.title(), page.inside("h1")), ("Sign in – Mintmark".to_owned(), "Sign in".to_owned()));
    let form = password_form(&page)
        .with("email", " ADA@example.com ")
        .with("password", super::super::person::PASSWORD);
    let page = browser.submit(&form).await.must_be(200);
    let page = browser.submit(&page.form("/code").with("code", &ada.code(&app))).await.must_be(200);
    assert_eq!(page.path, "/console/account");
    assert!(page.says("ada@example.com"));
    // With a session, the sign-in page redirects to the page in `next`.
    assert_eq!(browser.get("/console/sign-in?next=/console/account").await.location(), "/console/account");
}

async fn nobody_learns_which_addresses_have_accounts(engine: Engine) {
    let app = named_app(engine).await;
    let ada = Person::new(&app, "known@example.com").await.set_up(&app, &named_browser(&app)).await;
    let off = Person::with(&app, "disab@example.com", vec![Role::PlatformAdmin]).await;
    let off = off.set_up(&app, &named_browser(&app)).await;
    let status = Member::Value("disabled".to_owned());
    off.change(&app, &OperatorChange { status, ..OperatorChange::default() }).await;
    Person::new(&app, "nopas@example.com").await.set_up_passkey(&named_browser(&app)).await;
    Person::new(&app, "fresh@example.com").await;
    let browser = named_browser(&app);
    let sign_in = browser.get("/console/sign-in").await;
    let mut pages = Vec::new();
    // All addresses have the same length, since `Content-Length` is compared too.
    for (email, password) in [
        ("nobod@example.com", "some other password"),
        (ada.email.as_str(), "some other password"),
        (off.email.as_str(), "some other password"),
        (off.email.as_str(), super::super::person::PASSWORD),
        ("nopas@example.com", "some other password"),
        ("fresh@example.com", "some other password"),
    ] {
        let form = password_form(&sign_in).with("email", email).with("password", password);
        let page = browser.send(&form).await.must_be(422);
        assert!(
            page.title().starts_with("Error: ")
                && page.says("The email address or the password is not right.")
        );
        assert!(!page.html.contains(password), "a password is not repeated");
        pages.push((page.headers_but(&["x-request-id", "date"]), page.html.replace(email, "…")));
    }
    for page in &pages {
        assert_eq!(*page, pages[0]);
    }
}

async fn a_missing_value_is_reported_beside_its_field(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let page = browser.get("/console/sign-in").await.must_be(200);
    let page = browser.send(&password_form(&page)).await.must_be(422);
    assert!(page.title().starts_with("Error: Sign in"));
    assert_eq!(page.by_id("email-error"), "Error: Enter your email address.");
    assert_eq!(page.by_id("password-error"), "Error: Enter your password.");
    assert_eq!(page.link("Enter your password."), "#password");
    let page = browser.send(&password_form(&page).with("email", "a@b.example")).await.must_be(422);
    assert_eq!(password_form(&page).value("email"), "a@b.example");
    assert!(
        page.html.contains("autocomplete=\"current-password\" autocapitalize=\"off\" spellcheck=\"false\"")
    );
    assert!(page.says("mintmark operators setup-link"), "the page names the command that helps");
}

async fn after_sign_in_the_browser_stays_in_the_console(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    for next in
        ["//evil", "/\\evil", "https:", "https://evil.example/console", "/console/../v1", "/console\\evil"]
    {
        let browser = Browser::new(&app);
        let page = browser.get("/console/sign-in").await.must_be(200);
        let form =
            password_form(&page).with("email", &ada.email).with("password", super::super::person::PASSWORD);
        let page = browser.submit(&form.with("next", next)).await.must_be(200);
        let sent = browser.send(&page.form("/code").with("code", &ada.code(&app))).await;
        assert_eq!(sent.location(), "/console", "{next}");
        // The next sign-in needs the next code.
        app.clock.advance(30);
        // With a session, `next` in the query of the sign-in page is treated the same.
        let asked = format!("/console/sign-in?next={}", next.replace('\\', "%5C"));
        assert_eq!(browser.get(&asked).await.location(), "/console", "{next}");
    }
}

async fn too_many_attempts_are_slowed_and_the_page_says_what_to_do(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let sign_in = browser.get("/console/sign-in").await;
    let form =
        password_form(&sign_in).with("email", "ada@example.com").with("password", "some other password");
    for _ in 0..10 {
        browser.send(&form).await.must_be(422);
    }
    let page = browser.send(&form).await.must_be(429);
    assert!(page.says("There were too many attempts. Wait"), "{}", page.text());
    assert!(page.header("retry-after").parse::<u32>().unwrap() <= 60);
    assert_eq!(password_form(&page).value("email"), "ada@example.com");
    app.clock.advance(60);
    browser.send(&form).await.must_be(422);
}
