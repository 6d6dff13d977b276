//! What each role may see and do, and that forged forms are refused.

use mintmark::model::operator::Role;
use serde_json::json;

use super::{NEW, client_of, create, furnish, new_client_form};
use crate::support::{Browser, Engine, HtmlForm, TestApp, on_both_engines};

on_both_engines!(
    a_form_is_accepted_only_from_a_page_of_the_console,
    bodies_that_are_not_forms_are_refused,
    a_cookie_and_a_bearer_token_together_are_refused,
    a_viewer_can_look_but_not_change,
    another_workspace_looks_like_one_that_does_not_exist,
    an_operator_of_two_workspaces_has_a_role_in_each,
    a_session_that_has_ended_leads_to_sign_in,
);

async fn a_form_is_accepted_only_from_a_page_of_the_console(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "SAP").await;
    let own = app.base.as_str();
    for (headers, passes) in [
        (vec![("origin", own)], true),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("origin", own), ("sec-fetch-site", "same-origin")], true),
        (vec![], false),
        (vec![("origin", "https://evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", own), ("sec-fetch-site", "cross-site")], false),
        (vec![("origin", own), ("sec-fetch-site", "same-site")], false),
        (vec![("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")], false),
    ] {
        let page = browser.send_with(&form, &headers).await;
        if passes {
            page.must_be(303);
        } else {
            let page = page.must_be(403);
            assert!(page.says("Nothing was changed") && page.says(own), "{headers:?}: {}", page.text());
        }
    }
    let other = app.signed_in("root@example.com").await;
    let theirs = new_client_form(&other, "SAP").await;
    for bad in ["", "AAAA", theirs.value("csrf"), &form.value("csrf")[1..]] {
        let page = browser.send(&form.clone().with("csrf", bad)).await.must_be(403);
        assert!(page.says("This form is out of date"), "{}", page.text());
    }
    // Only the client that `bootstrap` made: an accepted form makes a draft, not a client.
    assert_eq!(app.database.number("SELECT COUNT(*) FROM api_clients").await, 1);
}

async fn bodies_that_are_not_forms_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "SAP").await;
    let cookie = format!("mintmark={}", browser.cookie("mintmark").unwrap());
    let send = async |content_type: &str, body: String| {
        let request =
            app.request(reqwest::Method::POST, NEW).header("cookie", &cookie).header("origin", &app.base);
        let response = request.header("content-type", content_type).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for other in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
        let (status, text) = send(other, "{}".to_owned()).await;
        assert_eq!(status, 415, "{other}");
        assert!(text.starts_with("<!doctype html>"), "{text}");
    }
    let form_type = "application/x-www-form-urlencoded";
    assert_eq!(send(form_type, format!("label={}", "x".repeat(70_000))).await.0, 413);
    assert_eq!(send(form_type, "label=%ff".to_owned()).await.0, 400);
    assert_eq!(browser.send(&form).await.status, 303);
}

async fn a_cookie_and_a_bearer_token_together_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let cookie = format!("mintmark={}", browser.cookie("mintmark").unwrap());
    let both = admin.request(reqwest::Method::GET, "/console/workspaces").header("cookie", &cookie);
    assert_eq!(both.send().await.unwrap().status(), 400);
    // The cookie alone gives no access to the management API.
    let api = app.request(reqwest::Method::GET, "/v1/products").header("cookie", &cookie);
    assert_eq!(api.send().await.unwrap().status(), 401);
}

async fn a_viewer_can_look_but_not_change(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let root = app.platform_admin().await;
    let shown = create(&root, "SAP").await;
    let client = client_of(&shown);
    let viewer = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    for page in ["", "/secrets", "/tokens", "/usage", "/watch", "/history", "/edit"] {
        let page = viewer.get(&format!("{client}{page}")).await.must_be(200);
        for action in ["Add a new secret", "Danger zone", "Delete", "Revoke", "Ask for a token now"] {
            assert!(!page.says(action), "{}: {action}: {}", page.path, page.text());
        }
        for action in ["/tokens/new", "/secrets/new", "/change", "/delete", "/disable"] {
            assert!(!page.html.contains(&format!("{action}\"")), "{}: {action}", page.path);
        }
    }
    let csrf = viewer.get(&client).await.form("/sign-out").value("csrf").to_owned();
    for path in [
        "/test",
        "/disable",
        "/enable",
        "/delete",
        "/change",
        "/secrets/new",
        "/tokens/new",
        "/tokens/revoke-all",
    ] {
        let form =
            HtmlForm { action: format!("{client}{path}"), fields: vec![("csrf".to_owned(), csrf.clone())] };
        let page = viewer.send(&form).await.must_be(403);
        assert!(page.says("You can look, but not change"), "{path}: {}", page.text());
    }
    for path in ["/change", "/disable", "/delete", "/secrets/new", "/tokens/new", "/tokens/revoke-all"] {
        viewer.get(&format!("{client}{path}")).await.must_be(403);
    }
    assert!(root.get(&client).await.says("Never used"));
}

async fn another_workspace_looks_like_one_that_does_not_exist(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    admin.workspace("rival", json!({"name": "Rival Ltd"})).await;
    let root = app.platform_admin().await;
    let client = client_of(&create(&root, "SAP").await);
    let rival = app.operator("mo@rival.example", vec![Role::WorkspaceAdmin("rival".to_owned())]).await;
    let nothing = rival.get("/console/workspaces/nothing/api-clients").await.must_be(404);
    let theirs = rival.get("/console/workspaces/acme/api-clients").await.must_be(404);
    let without_id = |page: &crate::support::Page| {
        page.html.replace(page.header("x-request-id"), "").replace(&page.path, "")
    };
    assert_eq!(without_id(&nothing), without_id(&theirs), "the page does not show whether it exists");
    for path in [NEW.to_owned(), client.clone()].into_iter().chain(
        ["/secrets", "/tokens", "/history", "/edit", "/change", "/delete", "/first-call", "/watch", "/usage"]
            .map(|part| format!("{client}{part}")),
    ) {
        rival.get(&path).await.must_be(404);
    }
    let csrf = rival.open("/console").await.form("/sign-out").value("csrf").to_owned();
    for path in ["/test", "/disable", "/delete", "/change", "/secrets/new", "/tokens/new"] {
        let form =
            HtmlForm { action: format!("{client}{path}"), fields: vec![("csrf".to_owned(), csrf.clone())] };
        rival.send(&form).await.must_be(404);
    }
    let home = rival.open("/console").await.must_be(200);
    assert_eq!(home.path, "/console/workspaces/rival/api-clients");
    assert!(!home.says("Acme"), "{}", home.text());
}

async fn an_operator_of_two_workspaces_has_a_role_in_each(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    admin.workspace("second", json!({"name": "Second"})).await;
    admin.workspace("third", json!({"name": "Third"})).await;
    let roles = vec![Role::WorkspaceAdmin("acme".to_owned()), Role::WorkspaceViewer("second".to_owned())];
    let browser = app.operator("ann@acme.example", roles).await;
    let home = browser.open("/console").await.must_be(200);
    assert_eq!(home.path, "/console/workspaces");
    assert!(home.says("Acme India") && home.says("Second") && !home.says("Third"), "{}", home.text());
    let (_, made) = admin.client("second", json!({"label": "There", "products": ["gst"]})).await;
    let there = browser
        .get(&format!("/console/api-clients/{}", made["client_id"].as_str().unwrap()))
        .await
        .must_be(200);
    assert!(there.says("There") && !there.says("Ask for a token now"), "{}", there.text());
    let here = browser.get("/console/workspaces/acme/api-clients").await.must_be(200);
    assert!(here.says("Create API Client"));
}

async fn a_session_that_has_ended_leads_to_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "SAP").await;
    // A session ends after 30 minutes without a request.
    app.clock.advance(31 * 60);
    assert_eq!(
        browser.get("/console/workspaces").await.location(),
        "/console/sign-in?next=%2Fconsole%2Fworkspaces"
    );
    assert_eq!(browser.send(&form).await.location(), "/console/sign-in");
    let stranger = Browser::new(&app);
    stranger.set_cookie("mintmark", "AAAA");
    assert_eq!(stranger.send(&form).await.location(), "/console/sign-in");
}
