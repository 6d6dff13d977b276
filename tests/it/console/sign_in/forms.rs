//! Forms are accepted only from pages of the console, by their CSRF token and by the headers in which a browser says where they
//! come from.

use super::super::person::{PASSWORD, Person, named_app, named_browser, password_form};
use crate::support::{Browser, Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    a_form_is_accepted_only_in_its_own_session,
    a_form_before_sign_in_is_accepted_only_from_its_own_browser,
    each_page_with_a_form_renews_the_cookie_of_its_browser,
    a_session_cookie_opens_only_the_console
);

async fn a_form_is_accepted_only_in_its_own_session(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    let other = Browser::new(&app);
    ada.sign_in(&app, &other).await.must_be(200);
    let form = browser.get("/console/account").await.must_be(200).form("/sessions/end-others");
    let here = browser.origin().to_owned();
    // If the headers name another origin or none, or contradict each other, a form is refused even with the session cookie and
    // its CSRF token.
    for headers in [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", here.as_str()), ("sec-fetch-site", "same-site")],
        &[],
    ] {
        let page = browser.send_with(&form, headers).await.must_be(403);
        assert!(page.says("This form was not sent from the console"), "{headers:?}: {}", page.text());
    }
    // From the console, without the token, with a made-up one, and with that of another session of the same operator.
    let theirs = other.get("/console/account").await.form("/sessions/end-others");
    for token in ["", "AAAA", theirs.value("csrf")] {
        let page = browser.send(&form.clone().with("csrf", token)).await.must_be(403);
        assert!(page.says("This form is out of date"), "{}", page.text());
    }
    other.get("/console/account").await.must_be(200);
    // One of the two headers is enough, since some browsers send only one.
    for headers in [&[("origin", here.as_str())][..], &[("sec-fetch-site", "same-origin")]] {
        browser.send_with(&form, headers).await.must_be(303);
    }
    assert_eq!(other.get("/console/account").await.status, 303, "the accepted form ended this session");
}

async fn a_form_before_sign_in_is_accepted_only_from_its_own_browser(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &Browser::new(&app)).await;
    let (attacker, victim) = (Browser::new(&app), Browser::new(&app));
    let password = super::super::person::PASSWORD;
    // An attacker makes the victim's browser send the attacker's form, to sign the victim in to Ada's account.
    let form = password_form(&attacker.get("/console/sign-in").await);
    let form = form.with("email", &ada.email).with("password", password);
    victim.send(&form).await.must_be(403);
    victim.get("/console/sign-in").await.must_be(200);
    victim.send(&form).await.must_be(403);
    let own = password_form(&victim.get("/console/sign-in").await);
    let own = own.with("email", &ada.email).with("password", password);
    victim.send_with(&own, &[("origin", "https://evil.example")]).await.must_be(403);
    victim.send_with(&own, &[]).await.must_be(403);
    assert_eq!(victim.send(&own).await.location(), "/console/sign-in/code");
}

async fn each_page_with_a_form_renews_the_cookie_of_its_browser(engine: Engine) {
    let app = named_app(engine).await;
    let browser = named_browser(&app);
    let invited = Person::new(&app, "ann@example.com").await;
    let ada = Person::new(&app, "ada@example.com").await.set_up(&app, &named_browser(&app)).await;
    let sign_in = browser.get("/console/sign-in").await.must_be(200);
    let key = browser.cookie("mintmark-form").unwrap();
    let password = password_form(&sign_in).with("email", &ada.email);
    let passkey = sign_in.form("/sign-in/passkey").with("credential", "{}");
    let mut renewed = 1;
    let mut expect = |page: Page, status: u16| {
        renewed += 1;
        let lines = browser.cookie_lines("mintmark-form");
        assert_eq!(lines.len(), renewed, "{} {}: {lines:?}", page.path, page.status);
        let line = format!("mintmark-form={key}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600");
        assert_eq!(lines[renewed - 1], line);
        page.must_be(status)
    };
    expect(browser.get("/console/sign-in").await, 200);
    expect(browser.send(&password).await, 422);
    expect(browser.send(&password.clone().with("password", "wrong")).await, 422);
    expect(browser.send(&passkey).await, 422);
    let setup = expect(browser.get(&invited.link).await, 200);
    let forms = setup.forms();
    let own = forms.iter().find(|form| form.action == invited.link).unwrap();
    expect(browser.send(own).await, 422);
    expect(browser.send(&own.clone().with("password", "short").with("code", "1")).await, 422);
    expect(browser.send(&setup.form("/passkey").with("credential", "{}")).await, 422);
    browser.send(&password.with("password", PASSWORD)).await.must_be(303);
    let code = expect(browser.get("/console/sign-in/code").await, 200).form("/sign-in/code");
    expect(browser.send(&code).await, 422);
    expect(browser.send(&code.with("code", "1")).await, 422);
    // Without a cookie, a form before sign-in is refused, and the page says why.
    browser.forget("mintmark-form");
    let late = browser.send(&passkey).await.must_be(403);
    assert!(late.says("The page was open for more than an hour"), "{}", late.text());
}

async fn a_session_cookie_opens_only_the_console(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    Person::new(&app, "ada@example.com").await.set_up(&app, &browser).await;
    let cookie = browser.cookie("mintmark").unwrap();
    let page = browser.get("/console/account").await.must_be(200);
    assert!(!page.html.contains(&cookie), "the cookie is not on a page");
    // The management API answers as if there were no cookie.
    let api = app.get("/v1/products").await.status();
    let with =
        app.request(reqwest::Method::GET, "/v1/products").header("cookie", format!("mintmark={cookie}"));
    assert_eq!(with.send().await.unwrap().status(), api);
    assert_eq!(api, 401);
}
