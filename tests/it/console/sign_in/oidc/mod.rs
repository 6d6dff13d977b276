//! Sign-in through an OpenID Connect provider.

mod hostile;
mod provider;

use mintmark::kernel::Manager;
use mintmark::model::operator::Role;
use serde_json::{Value, json};

use super::super::person::Person;
use crate::support::{Browser, Engine, Page, TestApp, on_both_engines};
use provider::Provider;

on_both_engines!(
    the_first_sign_in_with_a_role_creates_the_operator,
    roles_follow_the_claims_at_each_sign_in,
    without_a_role_claim_only_linked_operators_sign_in,
    an_account_is_linked_by_a_setup_link,
    a_linked_account_makes_a_session_fresh,
    another_account_does_not_make_a_session_fresh,
);

/// An app whose operators sign in through `provider`, with the workspace `acme`.
async fn app(engine: Engine, provider: &Provider, role_claim: &str) -> TestApp {
    let app = TestApp::start_with(engine, &provider.settings(role_claim)).await;
    app.administrator().await.workspace("acme", json!({})).await;
    app
}

/// Begins on the sign-in page, signs in at the provider with these claims, and returns the reply of the callback.
async fn come_back(app: &TestApp, browser: &Browser<'_>, provider: &Provider, claims: &Value) -> Page {
    let page = browser.get("/console/sign-in?next=/console/account").await.must_be(200);
    let away = browser.get(&page.link("Sign in with corp")).await.location();
    browser.get(&provider.sign_in(app, &away, claims).path()).await
}

/// Follows the link with these words to the provider and back.
async fn by_link(
    app: &TestApp,
    browser: &Browser<'_>,
    provider: &Provider,
    page: &Page,
    words: &str,
) -> Page {
    let away = browser.get(&page.link(words)).await.location();
    browser.get(&provider.sign_in(app, &away, &json!({})).path()).await
}

async fn roles(app: &TestApp, email: &str) -> Vec<Role> {
    let operators = &app.core.services.operators;
    operators.operator_by_email(&Manager::command_line(), email).await.unwrap().roles
}

async fn the_first_sign_in_with_a_role_creates_the_operator(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    let claims = json!({"groups": ["staff", "workspace_admin:acme", "workspace_viewer:nowhere", "admin"]});
    let page = come_back(&app, &browser, &provider, &claims).await;
    assert_eq!(page.location(), "/console/account");
    let page = browser.follow(page).await.must_be(200);
    assert!(page.says("Ada · ada@example.com · roles set by corp"), "{}", page.text());
    assert!(page.says("by a linked account"), "{}", page.text());
    assert_eq!(roles(&app, "ada@example.com").await, vec![Role::WorkspaceAdmin("acme".to_owned())]);
    // An account without a known role, or without an email address, cannot sign in.
    for (claims, words) in [
        (json!({"sub": "u2", "email": "b@example.com"}), "The claim groups of your account has no role"),
        (
            json!({"sub": "u2", "groups": ["platform_admins", "PLATFORM_ADMIN"]}),
            "The claim groups of your account has no role",
        ),
        (
            json!({"sub": "u2", "groups": "platform_admin:acme"}),
            "The claim groups of your account has no role",
        ),
        (json!({"sub": "u2", "groups": "platform_admin", "email": null}), "no email address"),
        // The email address of an operator does not link the account to that operator.
        (json!({"sub": "u2", "groups": "platform_admin"}), "cannot be used here"),
    ] {
        let other = Browser::new(&app);
        let page = come_back(&app, &other, &provider, &claims).await.must_be(403);
        assert!(page.says(words), "{claims}: {}", page.text());
        assert_eq!(other.cookie("mintmark"), None);
    }
}

async fn roles_follow_the_claims_at_each_sign_in(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let first = Browser::new(&app);
    let sign_in = async |browser: &Browser<'_>, groups: Value| {
        come_back(&app, browser, &provider, &json!({"groups": groups})).await.status
    };
    assert_eq!(sign_in(&first, json!("platform_admin")).await, 303);
    assert_eq!(roles(&app, "ada@example.com").await, vec![Role::PlatformAdmin]);
    // Another administrator, so that Ada is not the last.
    Person::new(&app, "root@example.com").await.set_up(&app, &Browser::new(&app)).await;
    assert_eq!(sign_in(&Browser::new(&app), json!(["workspace_viewer:acme"])).await, 303);
    assert_eq!(roles(&app, "ada@example.com").await, vec![Role::WorkspaceViewer("acme".to_owned())]);
    assert_eq!(first.get("/console/account").await.status, 303, "a change of roles ends earlier sessions");
    assert_eq!(sign_in(&Browser::new(&app), json!([])).await, 403);
}

async fn without_a_role_claim_only_linked_operators_sign_in(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "").await;
    let stranger = Browser::new(&app);
    // The email address of an operator is not enough: this account is not linked yet.
    let browser = Browser::new(&app);
    Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    let page = come_back(&app, &stranger, &provider, &json!({"groups": "platform_admin"})).await.must_be(403);
    assert!(page.says("This account at corp cannot be used here"), "{}", page.text());
    let account = browser.get("/console/account").await.must_be(200);
    let page = by_link(&app, &browser, &provider, &account, "Link corp").await;
    assert_eq!(page.location(), "/console/account");
    let page = browser.follow(page).await.must_be(200);
    assert!(page.has_form("/account/identities/remove") && page.says("u1"), "{}", page.text());
    assert_eq!(come_back(&app, &stranger, &provider, &json!({})).await.location(), "/console/account");
    stranger.get("/console/account").await.must_be(200);
    // An account can be linked to only one operator.
    let other = Browser::new(&app);
    Person::new(&app, "bob@example.com").await.set_up(&app, &other).await;
    let account = other.get("/console/account").await.must_be(200);
    let page = by_link(&app, &other, &provider, &account, "Link corp").await.must_be(409);
    assert!(page.says("linked to an operator already"), "{}", page.text());
    // The link is removed on the account page, where it was made.
    let page = browser.get("/console/account").await.must_be(200);
    browser.submit(&page.form("/account/identities/remove")).await.must_be(200);
    come_back(&app, &Browser::new(&app), &provider, &json!({})).await.must_be(403);
}

async fn an_account_is_linked_by_a_setup_link(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "").await;
    let ada = Person::new(&app, "ada@example.com").await;
    let browser = Browser::new(&app);
    let page = browser.get(&format!("{}?next=/console/account", ada.link)).await.must_be(200);
    let link = page.link("With your account at corp");
    let back = by_link(&app, &browser, &provider, &page, "With your account at corp").await;
    assert_eq!(back.location(), "/console/account");
    browser.get("/console/account").await.must_be(200);
    assert_eq!(come_back(&app, &Browser::new(&app), &provider, &json!({})).await.status, 303);
    // The setup link is used up.
    let page = Browser::new(&app).get(&link).await.must_be(410);
    assert!(page.says("This link does not work any more"), "{}", page.text());
    // A setup link that is replaced while the browser is at the provider links nothing.
    let new = ada.new_link(&app).await;
    let page = browser.get(&new).await.must_be(200);
    let away = browser.get(&page.link("With your account at corp")).await.location();
    ada.new_link(&app).await;
    let reply = provider.sign_in(&app, &away, &json!({"sub": "u9"}));
    browser.get(&reply.path()).await.must_be(410);
    // The account that was linked first still works, since the replaced link changed nothing.
    assert_eq!(come_back(&app, &Browser::new(&app), &provider, &json!({})).await.status, 303);
}

async fn a_linked_account_makes_a_session_fresh(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    come_back(&app, &browser, &provider, &json!({"groups": "platform_admin"})).await;
    app.clock.advance(301);
    let page = browser.open("/console/account/password").await.must_be(200);
    assert_eq!(page.title(), "Confirm that it is you – Mintmark");
    let link = page.link("Confirm with corp");
    let confirm = async |claims: Value| {
        let away = browser.get(&link).await.location();
        assert!(away.contains("prompt=login") && away.contains("max_age=0"), "{away}");
        browser.get(&provider.sign_in(&app, &away, &claims).path()).await
    };
    // An earlier sign-in at the provider does not count, nor one without `auth_time`.
    let before = app.core.services.clock().now() - 301;
    for auth_time in [json!(before), Value::Null] {
        let page = confirm(json!({"groups": "platform_admin", "auth_time": auth_time})).await.must_be(403);
        assert!(page.says("(auth_time)"), "{}", page.text());
    }
    assert_eq!(browser.get("/console/account/password").await.status, 303);
    assert_eq!(confirm(json!({"groups": "platform_admin"})).await.location(), "/console/account/password");
    browser.get("/console/account/password").await.must_be(200);
}

async fn another_account_does_not_make_a_session_fresh(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    come_back(&app, &browser, &provider, &json!({"groups": "platform_admin"})).await;
    app.clock.advance(301);
    let page = browser.open("/console/account/password").await.must_be(200);
    let away = browser.get(&page.link("Confirm with corp")).await.location();
    let claims = json!({"groups": "platform_admin", "sub": "u2", "email": "bob@example.com"});
    let page = browser.get(&provider.sign_in(&app, &away, &claims).path()).await.must_be(403);
    assert!(page.says("That was another account"), "{}", page.text());
    assert_eq!(browser.get("/console/account/password").await.status, 303);
    browser.get("/console/account").await.must_be(200);
}
