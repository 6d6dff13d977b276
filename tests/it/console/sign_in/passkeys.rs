//! Passkeys over HTTP: registered through a setup link, used without an email address, and refused if replayed, cloned or made
//! for another site.

use super::super::person::{Person, named_app, named_browser, options, sign_in_with};
use crate::support::{Authenticator, Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_passkey_from_a_setup_link_signs_in_without_an_email_address,
    a_challenge_works_once,
    a_challenge_belongs_to_one_browser_and_one_purpose,
    a_challenge_expires,
    a_passkey_whose_counter_does_not_rise_is_refused_and_audited,
    a_passkey_of_another_origin_is_refused,
    a_passkey_that_nobody_registered_is_refused,
    at_an_ip_address_passkeys_are_not_offered,
);

async fn a_passkey_from_a_setup_link_signs_in_without_an_email_address(engine: Engine) {
    let app = named_app(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    let mut passkey = ada.set_up_passkey(&named_browser(&app)).await;
    let browser = named_browser(&app);
    // The field for the email address offers passkeys too.
    let page = browser.get("/console/sign-in").await.must_be(200);
    assert!(page.html.contains(r#"autocomplete="username webauthn""#), "{}", page.html);
    let sent = sign_in_with(&browser, &mut passkey).await;
    assert_eq!(sent.location(), "/console/account");
    let page = browser.follow(sent).await.must_be(200);
    assert!(page.says("ada@example.com") && page.says("by passkey"), "{}", page.text());
    assert!(page.says("Add a second one"), "one passkey is not enough: {}", page.text());
}

async fn a_challenge_works_once(engine: Engine) {
    let app = named_app(engine).await;
    let mut passkey = Person::new(&app, "ada@example.com").await.set_up_passkey(&named_browser(&app)).await;
    let browser = named_browser(&app);
    let form = browser.get("/console/sign-in").await.form("/sign-in/passkey");
    let asked = options(&browser, &form).await;
    let answer = passkey.sign_in(&asked);
    let first = browser.send(&form.clone().with("credential", &answer)).await;
    assert_eq!(first.location(), "/console");
    // The same answer again is refused, and so is a second answer to the same challenge.
    let thief = browser.tab();
    thief.forget("mintmark");
    for again in [answer, passkey.sign_in(&asked)] {
        let page = thief.send(&form.clone().with("credential", &again)).await.must_be(422);
        assert!(page.says("That passkey cannot be used here."), "{}", page.text());
        assert!(thief.cookie("mintmark").is_none());
    }
    let events = app.administrator().await.get("/v1/audit-events?action=operator.sign_in_refused").await;
    let events: serde_json::Value = events.json().await.unwrap();
    let reasons = events["items"].as_array().unwrap().iter().map(|event| &event["detail"]["reason"]);
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        ["challenge_used"],
        "the second refusal is in the same entry: {events}"
    );
}

async fn a_challenge_belongs_to_one_browser_and_one_purpose(engine: Engine) {
    let app = named_app(engine).await;
    let mut passkey = Person::new(&app, "ada@example.com").await.set_up_passkey(&named_browser(&app)).await;
    let (mine, thief) = (named_browser(&app), named_browser(&app));
    let my_form = mine.get("/console/sign-in").await.form("/sign-in/passkey");
    let answer = passkey.sign_in(&options(&mine, &my_form).await);
    let form = thief.get("/console/sign-in").await.form("/sign-in/passkey");
    thief.send(&form.with("credential", &answer)).await.must_be(422);
    // A challenge for signing in cannot register a passkey.
    let bob = Person::new(&app, "bob@example.com").await;
    let page = mine.get(&bob.link).await.must_be(200);
    let mut asked = options(&mine, &my_form).await;
    asked["rp"] = serde_json::json!({"id": "localhost"});
    asked["user"] = serde_json::json!({"id": "AAAA"});
    let answer = Authenticator::new(mine.origin()).register(&asked);
    let page = mine.send(&page.form("/passkey").with("credential", &answer)).await.must_be(422);
    assert!(page.says("The passkey could not be set up."), "{}", page.text());
}

async fn a_challenge_expires(engine: Engine) {
    let app = named_app(engine).await;
    let mut passkey = Person::new(&app, "ada@example.com").await.set_up_passkey(&named_browser(&app)).await;
    let browser = named_browser(&app);
    let form = browser.get("/console/sign-in").await.form("/sign-in/passkey");
    let answer = passkey.sign_in(&options(&browser, &form).await);
    // The script of the page waits for five minutes. Half a minute is added for the way to the server.
    app.clock.advance(330);
    browser.send(&form.with("credential", &answer)).await.must_be(422);
}

async fn a_passkey_whose_counter_does_not_rise_is_refused_and_audited(engine: Engine) {
    let app = named_app(engine).await;
    let ada = Person::new(&app, "ada@example.com").await;
    let mut passkey = ada.set_up_passkey(&named_browser(&app)).await;
    // The registration had the count 1.
    for (count, status) in [(1, 422), (2, 303), (9, 303), (9, 422), (3, 422), (0, 422), (10, 303)] {
        passkey.count = count;
        assert_eq!(sign_in_with(&named_browser(&app), &mut passkey).await.status, status, "{count}");
    }
    let administrator = app.administrator().await;
    let events = administrator.get("/v1/audit-events?action=operator.sign_in_refused").await;
    let events: serde_json::Value = events.json().await.unwrap();
    assert_eq!(events["items"][0]["detail"]["reason"], "counter_went_back", "{events}");
    assert!(events["items"][0]["target"].to_string().contains(&ada.operator_id), "{events}");
}

async fn a_passkey_of_another_origin_is_refused(engine: Engine) {
    let app = named_app(engine).await;
    let mut passkey = Person::new(&app, "ada@example.com").await.set_up_passkey(&named_browser(&app)).await;
    // Higher than before, so that the counter is not why the passkey is refused.
    passkey.count = 5;
    for origin in ["http://badlocalhost", "http://sub.localhost", "http://localhost", "https://localhost:1"] {
        passkey.origin = origin.to_owned();
        assert_eq!(sign_in_with(&named_browser(&app), &mut passkey).await.status, 422, "{origin}");
    }
    passkey.origin = named_browser(&app).origin().to_owned();
    assert_eq!(sign_in_with(&named_browser(&app), &mut passkey).await.status, 303);
}

async fn a_passkey_that_nobody_registered_is_refused(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    let mut passkey = Authenticator::new(browser.origin());
    assert_eq!(sign_in_with(&browser, &mut passkey).await.status, 422);
    let form = browser.get("/console/sign-in").await.form("/sign-in/passkey");
    for text in ["", "{}", "[1]", "<script>", "{\"type\":\"public-key\"}"] {
        let page = browser.send(&form.clone().with("credential", text)).await.must_be(422);
        assert!(!page.html.contains("<script>"));
    }
}

async fn at_an_ip_address_passkeys_are_not_offered(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let page = browser.get("/console/sign-in").await.must_be(200);
    assert!(!page.has_form("/passkey") && page.html.contains(r#"autocomplete="username""#), "{}", page.html);
    let ada = Person::new(&app, "ada@example.com").await;
    let page = browser.get(&ada.link).await.must_be(200);
    assert!(!page.has_form("/passkey") && page.says("bound to a host name"), "{}", page.text());
    let mut form = page.form("/setup/");
    form.action.push_str("/passkey/options");
    browser.send(&form).await.must_be(404);
}
