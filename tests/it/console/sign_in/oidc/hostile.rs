//! Replies of a provider and ID tokens that must not sign anybody in, over HTTP.

use serde_json::{Value, json};

use super::super::super::person::Person;
use super::provider::Provider;
use super::{app, by_link, come_back};
use crate::support::{Browser, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_state_works_once,
    a_state_works_only_in_the_browser_it_was_made_for,
    a_state_expires_after_ten_minutes,
    iss_of_a_reply_is_checked,
    a_token_that_is_not_for_this_sign_in_is_refused,
    a_provider_that_refuses_is_quoted,
    new_keys_are_requested_at_most_once_a_minute,
    linking_an_account_begins_and_ends_in_one_fresh_session,
    a_provider_inside_the_network_is_not_asked_unless_it_is_listed,
);

const ADMIN: &str = "platform_admin";

/// Begins a sign-in. Returns the URL at the provider that the browser is sent to.
async fn away(browser: &Browser<'_>) -> String {
    browser.get("/console/sign-in").await.must_be(200);
    browser.get("/console/sign-in/oidc/corp").await.location()
}

async fn a_state_works_once(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    let reply = provider.sign_in(&app, &away(&browser).await, &json!({"groups": ADMIN}));
    assert_eq!(browser.get(&reply.path()).await.location(), "/console");
    for state in [None, Some("x"), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
        let again = state.map_or(reply.clone(), |state| reply.clone().with("state", state));
        let page = browser.get(&again.path()).await.must_be(400);
        assert!(page.says("This sign-in is over"), "{}", page.text());
    }
    assert_eq!(provider.count("/token"), 1, "a code is not tried again");
    for broken in [reply.clone().with("state", ""), reply.clone().with("code", "")] {
        browser.get(&broken.path()).await.must_be(403);
    }
    let twice = format!("{}&state=x", reply.path());
    let page = browser.get(&twice).await.must_be(403);
    assert!(page.says("a parameter comes twice"), "{}", page.text());
}

async fn a_state_works_only_in_the_browser_it_was_made_for(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let (victim, attacker) = (Browser::new(&app), Browser::new(&app));
    // An attacker makes a victim open the redirect that ends the attacker's own sign-in.
    let reply = provider.sign_in(&app, &away(&attacker).await, &json!({"groups": ADMIN}));
    away(&victim).await;
    let page = victim.get(&reply.path()).await.must_be(403);
    assert!(page.says("This sign-in began somewhere else"), "{}", page.text());
    assert_eq!((victim.cookie("mintmark"), provider.count("/token")), (None, 0));
    // A browser without cookies is refused too, and the state is used up.
    let reply = provider.sign_in(&app, &away(&attacker).await, &json!({"groups": ADMIN}));
    Browser::new(&app).get(&reply.path()).await.must_be(403);
    attacker.get(&reply.path()).await.must_be(400);
}

async fn a_state_expires_after_ten_minutes(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    let location = away(&browser).await;
    app.clock.advance(600);
    let reply = provider.sign_in(&app, &location, &json!({"groups": ADMIN}));
    browser.get(&reply.path()).await.must_be(400);
}

async fn iss_of_a_reply_is_checked(engine: Engine) {
    let provider = Provider::start();
    provider.announce_iss();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    for iss in ["", "https://evil.example"] {
        let reply = provider.sign_in(&app, &away(&browser).await, &json!({"groups": ADMIN}));
        let page = browser.get(&reply.with("iss", iss).path()).await.must_be(403);
        assert!(page.says("Its reply comes from another issuer (iss)"), "{}", page.text());
    }
    // A reply with an error must have the right `iss` too.
    let reply = provider.sign_in(&app, &away(&browser).await, &json!({}));
    let error = reply.with("iss", "").with("code", "").with("error", "access_denied");
    assert!(browser.get(&error.path()).await.must_be(403).says("(iss)"));
    assert_eq!(provider.count("/token"), 0);
    let reply = provider.sign_in(&app, &away(&browser).await, &json!({"groups": ADMIN}));
    assert_eq!(browser.get(&reply.path()).await.status, 303);
}

async fn a_token_that_is_not_for_this_sign_in_is_refused(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    for (claim, value, words) in [
        ("nonce", json!("other"), "(nonce)"),
        ("iss", json!("https://evil.example"), "(iss)"),
        ("aud", json!("other"), "(aud)"),
        ("azp", json!("other"), "(azp)"),
        ("exp", json!(1), "(exp)"),
        ("iat", json!(1), "(iat, nbf)"),
        ("sub", Value::Null, "a claim is missing"),
    ] {
        let page = come_back(&app, &browser, &provider, &json!({"groups": ADMIN, claim: value})).await;
        let page = page.must_be(403);
        assert!(
            page.says("The answer of corp was not accepted") && page.says(words),
            "{claim}: {}",
            page.text()
        );
        assert_eq!(browser.cookie("mintmark"), None, "{claim}");
    }
}

async fn a_provider_that_refuses_is_quoted(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let browser = Browser::new(&app);
    let reply = provider.sign_in(&app, &away(&browser).await, &json!({}));
    let reply = reply.with("code", "").with("error", "access_denied").with("error_description", "<b>No</b>");
    let page = browser.get(&reply.path()).await.must_be(403);
    assert!(page.says("corp says: access_denied: <b>No</b>") && !page.html.contains("<b>"), "{}", page.html);
    // A code that the provider does not know.
    let reply = provider.sign_in(&app, &away(&browser).await, &json!({}));
    let page = browser.get(&reply.with("code", "made up").path()).await.must_be(403);
    assert!(page.says("It refused the token request (invalid_grant)"), "{}", page.text());
    browser.get("/console/sign-in/oidc/other").await.must_be(404);
    browser.get("/console/sign-in/oidc/other/callback?code=c&state=s").await.must_be(404);
}

async fn new_keys_are_requested_at_most_once_a_minute(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "groups").await;
    let sign_in =
        async || come_back(&app, &Browser::new(&app), &provider, &json!({"groups": ADMIN})).await.status;
    assert_eq!(sign_in().await, 303);
    assert_eq!(sign_in().await, 303);
    assert_eq!((provider.count("openid-configuration"), provider.count("/jwks")), (1, 1));
    provider.rotate("k2");
    assert_eq!(sign_in().await, 403);
    assert_eq!(provider.count("/jwks"), 1);
    app.clock.advance(60);
    assert_eq!(sign_in().await, 303);
    assert_eq!(provider.count("/jwks"), 2);
    // Another key with a known `kid` does not cause another request for the keys.
    provider.rotate("k2");
    app.clock.advance(60);
    assert_eq!(sign_in().await, 403);
    assert_eq!(provider.count("/jwks"), 2);
    // After an hour the keys are requested again in any case.
    app.clock.advance(3600);
    assert_eq!(sign_in().await, 303);
}

async fn linking_an_account_begins_and_ends_in_one_fresh_session(engine: Engine) {
    let provider = Provider::start();
    let app = app(engine, &provider, "").await;
    let (browser, other) = (Browser::new(&app), Browser::new(&app));
    Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    Person::new(&app, "bob@example.com").await.set_up(&app, &other).await;
    let theirs = other.get("/console/account").await.link("Link corp");
    // Links that an attacker could guess, or get from their own account.
    for path in ["/console/sign-in/oidc/corp?link=", "/console/sign-in/oidc/corp?link=AAAA", theirs.as_str()]
    {
        let page = browser.get(path).await.must_be(403);
        assert!(page.says("This sign-in began somewhere else"), "{path}: {}", page.text());
    }
    assert_eq!(Browser::new(&app).get(&theirs).await.location(), "/console/sign-in");
    // Linking must end in the session in which it began.
    let account = browser.get("/console/account").await.must_be(200);
    let away = browser.get(&account.link("Link corp")).await.location();
    let reply = provider.sign_in(&app, &away, &json!({}));
    browser.set_cookie("mintmark", &other.cookie("mintmark").unwrap());
    browser.get(&reply.path()).await.must_be(403);
    // Like other changes of the account, linking needs a fresh sign-in.
    app.clock.advance(301);
    let account = other.get("/console/account").await.must_be(200);
    let page = other.get(&account.link("Link corp")).await;
    assert_eq!(page.location(), "/console/sign-in/again?next=%2Fconsole%2Faccount");
    let third = Browser::new(&app);
    Person::new(&app, "eve@example.com").await.set_up(&app, &third).await;
    let account = third.get("/console/account").await.must_be(200);
    assert_eq!(by_link(&app, &third, &provider, &account, "Link corp").await.status, 303);
}

async fn a_provider_inside_the_network_is_not_asked_unless_it_is_listed(engine: Engine) {
    let provider = Provider::start();
    // Here `outbound.allow` does not list the address of the provider.
    let settings = provider.settings("groups").replace("[\"127.0.0.1\"]", "[]");
    let app = TestApp::start_with(engine, &settings).await;
    let page = Browser::new(&app).get("/console/sign-in/oidc/corp").await.must_be(502);
    assert!(page.says("Sign-in with corp does not work right now"), "{}", page.text());
    assert!(page.says("The request to it failed: address not allowed."), "{}", page.text());
    assert_eq!(provider.count(""), 0);
}
