//! Sessions: a new one for each sign-in, ended by their owner, by time, and by what administrators change.

use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::operators::OperatorChange;

use super::super::person::Person;
use crate::support::{Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_cookie_that_was_planted_opens_nothing,
    the_cookie_is_out_of_reach_of_scripts_and_other_sites,
    a_sign_out_ends_the_session_at_the_server,
    an_unused_session_ends_after_half_an_hour,
    a_session_ends_after_twelve_hours_even_if_it_is_used,
    a_change_of_role_or_status_ends_the_session,
);

const HOUR: i64 = 3600;

async fn must_be_signed_out(browser: &Browser<'_>) {
    assert!(browser.get("/console/account").await.location().starts_with("/console/sign-in?next="));
}

async fn a_cookie_that_was_planted_opens_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    let planted = "A".repeat(43);
    let browser = Browser::new(&app);
    browser.set_cookie("mintmark", &planted);
    ada.sign_in(&app, &browser).await.must_be(200);
    assert_ne!(browser.cookie("mintmark").unwrap(), planted);
    let attacker = Browser::new(&app);
    attacker.set_cookie("mintmark", &planted);
    must_be_signed_out(&attacker).await;
    // A sign-in ends the session that the browser had before.
    let before = browser.cookie("mintmark").unwrap();
    let other = Browser::new(&app);
    let page = ada.send_password(&other, super::super::person::PASSWORD).await;
    let page = other.follow(page).await;
    other.set_cookie("mintmark", &before);
    other.submit(&page.form("/code").with("code", &ada.code(&app))).await.must_be(200);
    assert_ne!(other.cookie("mintmark").unwrap(), before);
    must_be_signed_out(&browser).await;
}

async fn the_cookie_is_out_of_reach_of_scripts_and_other_sites(engine: Engine) {
    for (settings, start, end) in [
        ("", "mintmark=", "; Path=/; HttpOnly; SameSite=Lax; Max-Age="),
        ("server.public_url = \"https://t.example\"", "__Host-mintmark=", "; Secure"),
    ] {
        let app = TestApp::start_with(engine, settings).await;
        let ada = Person::new(&app, "ada@example.com").await;
        let browser =
            if settings.is_empty() { Browser::new(&app) } else { Browser::at(&app, "https://t.example") };
        ada.set_up(&app, &browser).await;
        let name = start.trim_end_matches('=');
        let value = browser.cookie(name).unwrap();
        assert_eq!(value.len(), 43, "256 bits");
        let lines = browser.cookie_lines(name);
        assert!(lines.iter().all(|line| line.starts_with(start) && line.contains(end)), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("; HttpOnly; SameSite=Lax")), "{lines:?}");
    }
}

async fn a_sign_out_ends_the_session_at_the_server(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    let browser = Browser::new(&app);
    let page = ada.sign_in(&app, &browser).await.must_be(200);
    let kept = browser.tab();
    assert_eq!(browser.get("/console/sign-out").await.status, 405, "a link signs nobody out");
    let out = browser.send(&page.form("/sign-out")).await;
    assert_eq!(out.location(), "/console/sign-in?why=out");
    assert!(browser.cookie("mintmark").is_none());
    assert!(browser.follow(out).await.says("You are signed out."));
    must_be_signed_out(&kept).await;
}

async fn an_unused_session_ends_after_half_an_hour(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    for _ in 0..3 {
        app.clock.advance(HOUR / 2 - 60);
        browser.get("/console/account").await.must_be(200);
    }
    app.clock.advance(HOUR / 2);
    must_be_signed_out(&browser).await;
}

async fn a_session_ends_after_twelve_hours_even_if_it_is_used(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    ada.sign_in(&app, &browser).await.must_be(200);
    for _ in 0..35 {
        app.clock.advance(HOUR / 3);
        browser.get("/console/account").await.must_be(200);
    }
    app.clock.advance(HOUR / 3);
    must_be_signed_out(&browser).await;
}

async fn a_change_of_role_or_status_ends_the_session(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.administrator().await.workspace("acme", serde_json::json!({})).await;
    // Another administrator, so that the changed ones are not the last.
    Person::new(&app, "root@example.com").await.set_up(&app, &Browser::new(&app)).await;
    for (email, change) in [
        (
            "role@example.com",
            OperatorChange {
                roles: Member::Value(vec![Role::WorkspaceViewer("acme".to_owned())]),
                ..OperatorChange::default()
            },
        ),
        (
            "off@example.com",
            OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() },
        ),
    ] {
        let browser = Browser::new(&app);
        let ada = Person::new(&app, email).await.set_up(&app, &browser).await;
        ada.change(&app, &change).await;
        must_be_signed_out(&browser).await;
    }
}
