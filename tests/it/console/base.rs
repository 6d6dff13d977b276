//! What holds for the whole console: errors are HTML pages, assets are cached, and links start with the path of the public URL.

use reqwest::Method;

use crate::support::{Browser, Engine, HtmlForm, MANAGEMENT_APART, TestApp, on_both_engines};

on_both_engines!(
    an_unknown_path_gets_an_error_page,
    a_request_of_the_wrong_kind_gets_a_page_that_says_what_to_do,
    assets_are_cached_until_they_change,
    with_a_management_listener_the_public_one_serves_no_console,
    links_start_with_the_path_of_the_public_url,
);

async fn an_unknown_path_gets_an_error_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    for path in ["/console/nothing", "/console/api-clients/a/b/c", "/console/assets/none.css"] {
        let page = browser.get(path).await.must_be(404);
        assert_eq!(page.title(), "Page not found – Mintmark");
        assert!(page.says("check it") && page.says("Go to the start page"), "{}", page.text());
        assert!(page.says(page.header("x-request-id")), "{}", page.text());
        assert_eq!(page.link("Go to the start page"), "/console");
    }
    let response = app.request(Method::PUT, "/console/assets/console.css").send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD");
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    // An error page repeats nothing of the request.
    let page = browser.get("/console/%3Cscript%3Ealert(1)%3C/script%3E?x=%22%3E%3Cb%3E").await.must_be(404);
    assert!(!page.html.contains("alert"), "{}", page.html);
}

async fn a_request_of_the_wrong_kind_gets_a_page_that_says_what_to_do(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let button = browser.get("/console/sign-out").await.must_be(405);
    assert_eq!(
        (button.header("allow"), button.inside("h1").as_str()),
        ("POST", "This address is for a button")
    );
    for (path, allow) in [("/console/help", "GET, HEAD"), ("/console/account", "GET, HEAD")] {
        let page = browser.send(&HtmlForm { action: path.to_owned(), fields: Vec::new() }).await;
        let page = page.must_be(405);
        assert_eq!(page.header("allow"), allow, "{path}");
        assert_eq!(page.inside("h1"), "This page does not take what was sent", "{path}");
        assert!(page.says("Nothing was changed. Open the page again"), "{}", page.text());
    }
}

async fn assets_are_cached_until_they_change(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = Browser::new(&app);
    let page = browser.get("/console/nothing").await;
    for (name, media_type) in [
        ("console.css", "text/css; charset=utf-8"),
        ("console.js", "text/javascript; charset=utf-8"),
        ("console.svg", "image/svg+xml"),
    ] {
        let at = page.html.find(&format!("/console/assets/{name}?v=")).unwrap();
        let href = page.html[at..].split('"').next().unwrap();
        let file = browser.get(href).await.must_be(200);
        assert_eq!(file.header("content-type"), media_type);
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        let other = browser.get(&format!("/console/assets/{name}?v=0")).await.must_be(200);
        assert_eq!(other.header("cache-control"), "no-cache");
        browser.get(&format!("/console/assets/{name}?v=1&v=2")).await.must_be(400);
    }
    let mut lines = 0;
    for name in ["console.js", "passkeys.js"] {
        let script = browser.get(&format!("/console/assets/{name}")).await.must_be(200);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        lines += script.html.lines().count();
    }
    assert!(lines <= 150, "the scripts must have at most 150 lines together, not {lines}");
}

async fn with_a_management_listener_the_public_one_serves_no_console(engine: Engine) {
    let app = TestApp::start_with(engine, MANAGEMENT_APART).await;
    let response = app.get("/console/assets/console.css").await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

async fn links_start_with_the_path_of_the_public_url(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    let browser = Browser::new(&app);
    for path in ["/console/nothing", "/tenant/console/nothing"] {
        let page = browser.get(path).await.must_be(404);
        assert_eq!(page.link("Go to the start page"), "/tenant/console");
        assert!(page.html.contains("href=\"/tenant/console/assets/console.css?v="), "{}", page.html);
    }
}
