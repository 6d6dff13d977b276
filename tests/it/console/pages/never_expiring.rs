//! The list of tokens that never expire, with the contacts of their clients, and revoking one of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mintmark::model::operator::Role;
use serde_json::json;

use super::form_at;
use crate::support::{Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    every_live_token_that_never_expires_is_listed,
    a_token_is_revoked_from_the_list,
    a_viewer_can_look_but_not_revoke,
);

async fn every_live_token_that_never_expires_is_listed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    let empty = root.get("/console/never-expiring").await.must_be(200);
    assert!(empty.says("No never-expiring tokens"), "{}", empty.text());
    admin.product("gst", json!({"name": "GST"})).await;
    for id in ["acme", "other"] {
        admin.workspace(id, json!({"name": format!("Place {id}")})).await;
    }
    let body = |label: &str, contacts: serde_json::Value| json!({"label": label, "products": ["gst"], "token_expiry": {"mode": "never"}, "notification_emails": contacts});
    let (tally, _) = admin.client("acme", body("Tally", json!(["fin@acme.example"]))).await;
    let (sap, _) = admin.client("other", body("SAP", json!([]))).await;
    let (short, _) = admin.client("acme", json!({"label": "Short", "products": ["gst"]})).await;
    let token = app.access_token(&tally, &[]).await;
    let foreign = jti_of(&app.access_token(&sap, &[]).await);
    app.access_token(&short, &[]).await;
    let made = admin.create(&format!("/v1/api-clients/{}/access-tokens", tally.client_id), &json!({})).await;
    let page = root.get("/console/never-expiring").await.must_be(200);
    for words in [
        "Tally",
        "SAP",
        "Place acme",
        "Place other",
        "GST",
        "fin@acme.example",
        "Nobody",
        "by the client itself",
        "by API client bootstrap",
        "Never",
        "3 tokens in all",
    ] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    assert!(page.html.contains(made["jti"].as_str().unwrap()) && !page.says("Short"), "{}", page.text());
    // This check is the last time that the token is seen. After 91 days the list says so.
    let ask = app.request(reqwest::Method::GET, "/oauth2/verify").bearer_auth(&token);
    assert_eq!(ask.send().await.unwrap().status(), 200);
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let own = ann.open("/console/never-expiring").await.must_be(200);
    assert_eq!(own.path, "/console/never-expiring?workspace_id=acme");
    assert!(
        own.says("Tally") && own.says("2 tokens in all") && own.says("by another API client"),
        "{}",
        own.text()
    );
    let rows = |page: &Page| page.html.matches("<tr><th scope=\"row\">").count();
    assert_eq!((rows(&page), rows(&own)), (3, 2));
    assert!(page.html.contains(&foreign) && page.html.contains(&sap.client_id), "{}", page.html);
    for foreign in ["SAP", "Place other", "bootstrap", &foreign, &sap.client_id] {
        assert!(!own.html.contains(foreign), "{foreign}: {}", own.text());
    }
    app.clock.advance(91 * 86_400);
    let later = app.signed_in("root@example.com").await.get("/console/never-expiring").await.must_be(200);
    assert!(later.says("not for 90 days"), "{}", later.text());
}

/// The `jti` of a token.
fn jti_of(token: &str) -> String {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

async fn a_token_is_revoked_from_the_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    let body = json!({"label": "Tally", "products": ["gst"], "token_expiry": {"mode": "never"}});
    let (tally, _) = admin.client("acme", body).await;
    let token = app.access_token(&tally, &[]).await;
    // In the list of all workspaces, the link to revoke and its form have no query.
    let all = root.get("/console/never-expiring").await.must_be(200);
    let here =
        all.html.split("href=\"").find(|href| href.contains("/revoke")).unwrap().split('"').next().unwrap();
    assert!(here.ends_with("/revoke"), "{here}");
    form_at(&root.get(here).await.must_be(200), here);
    let list = root.get("/console/never-expiring?workspace_id=acme").await.must_be(200);
    let here = list.html.split("href=\"").find(|href| href.contains("/revoke?")).unwrap();
    let here = here.split('"').next().unwrap().replace("&#38;", "&");
    let page = root.get(&here).await.must_be(200);
    assert!(
        page.says("Revoke this token of Tally?") && page.says("This cannot be undone"),
        "{}",
        page.text()
    );
    let list = root.submit(&form_at(&page, &here)).await.must_be(200);
    assert!(list.says("The token is revoked") && list.says("No never-expiring tokens"), "{}", list.text());
    let ask = app.request(reqwest::Method::GET, "/oauth2/verify").bearer_auth(&token);
    assert_eq!(ask.send().await.unwrap().status(), 401);
    // Revoking a token again changes nothing.
    root.get(&here).await.must_be(404);
    root.send(&form_at(&page, &here)).await.must_be(303);
}

async fn a_viewer_can_look_but_not_revoke(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let body = json!({"label": "Tally", "products": ["gst"], "token_expiry": {"mode": "never"}});
    let (tally, _) = admin.client("acme", body).await;
    app.access_token(&tally, &[]).await;
    let root = app.platform_admin().await;
    let list = root.get("/console/never-expiring").await.must_be(200);
    let here = list.html.split("href=\"").find(|href| href.contains("/revoke")).unwrap();
    let here = here.split('"').next().unwrap();
    let eve = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let list = eve.open("/console/never-expiring").await.must_be(200);
    assert!(list.says("Tally") && !list.html.contains("/revoke"), "{}", list.text());
    eve.get(here).await.must_be(403);
    let csrf = list.form("/sign-out").value("csrf").to_owned();
    let form = crate::support::HtmlForm { action: here.to_owned(), fields: vec![("csrf".to_owned(), csrf)] };
    let refused = eve.send(&form).await.must_be(403);
    assert!(refused.says("You can look, but not change"), "{}", refused.text());
}
