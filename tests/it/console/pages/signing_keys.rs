//! Signing keys: their phases, creating a new one, and deleting one together with its tokens.

use serde_json::json;

use super::{error_at, fill, form_at};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    keys_are_listed_and_a_pending_key_is_created_and_deleted,
    a_key_is_deleted_with_its_tokens,
    keys_are_changed_only_after_a_fresh_sign_in,
);

const NEW: &str = "/console/signing-keys/new";

async fn keys_are_listed_and_a_pending_key_is_created_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let list = root.get("/console/signing-keys").await.must_be(200);
    for words in
        ["For tokens that expire", "For tokens that never expire", "ES256", "Active", "signing since"]
    {
        assert!(list.says(words), "{words}: {}", list.text());
    }
    let made = root.follow(fill(&root, NEW, &[("alg", "ES256")]).await).await.must_be(200);
    for words in ["The new key is published", "Pending", "published, signs in"] {
        assert!(made.says(words), "{words}: {}", made.text());
    }
    let refused = fill(&root, NEW, &[("alg", "ES256")]).await.must_be(409);
    assert!(
        refused.says("There is a problem") && refused.title().starts_with("Error: "),
        "{}",
        refused.text()
    );
    let bad = fill(&root, NEW, &[("alg", "none")]).await.must_be(422);
    assert!(error_at(&bad, "alg").contains("must be ES256"), "{}", bad.text());
    // The pending key has signed nothing, so the form to delete it has no box to tick.
    let admin = app.administrator().await;
    let keys: serde_json::Value = admin.get("/v1/signing-keys").await.json().await.unwrap();
    let pending = keys["items"].as_array().unwrap().iter().find(|key| key["phase"] == "pending").unwrap();
    let here = format!("/console/signing-keys/{}/delete", pending["kid"].as_str().unwrap());
    let page = root.get(&here).await.must_be(200);
    assert!(page.says("It has not signed anything yet"), "{}", page.text());
    let list = root.submit(&form_at(&page, &here)).await.must_be(200);
    assert!(list.says("The key is deleted") && !list.says("Pending"), "{}", list.text());
    root.get(&here).await.must_be(404);
}

async fn a_key_is_deleted_with_its_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (client, _) =
        admin.client("acme", json!({"products": ["gst"], "token_expiry": {"mode": "never"}})).await;
    let token = app.access_token(&client, &[]).await;
    let keys: serde_json::Value = admin.get("/v1/signing-keys").await.json().await.unwrap();
    let key =
        keys["items"].as_array().unwrap().iter().find(|key| key["use_for"] == "never_expiring").unwrap();
    let kid = key["kid"].as_str().unwrap();
    let here = format!("/console/signing-keys/{kid}/delete");
    let page = root.get(&here).await.must_be(200);
    assert!(page.says("which never expire, are revoked now: 1 recorded token."), "{}", page.text());
    let form = form_at(&page, &here);
    let asked = root.send(&form).await.must_be(422);
    assert!(error_at(&asked, "revoke").contains("Tick the box"), "{}", asked.text());
    let verify = async || {
        let request = app.request(reqwest::Method::GET, "/oauth2/verify").bearer_auth(&token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(verify().await, 200);
    let list = root.submit(&form.with("revoke", "yes")).await.must_be(200);
    assert!(list.says("no token that it signed is accepted any more") && !list.says(kid), "{}", list.text());
    assert_eq!(verify().await, 401);
    assert!(list.says("Active"), "a successor signs at once: {}", list.text());
}

async fn keys_are_changed_only_after_a_fresh_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let page = root.get(NEW).await.must_be(200);
    let form = form_at(&page, NEW);
    let delete = root.get("/console/signing-keys").await.html;
    let delete = delete.split("href=\"").find(|href| href.contains("/delete")).unwrap();
    let delete = delete.split('"').next().unwrap();
    let deletion = form_at(&root.get(delete).await.must_be(200), delete).with("revoke", "yes");
    // A sign-in is fresh for five minutes.
    app.clock.advance(301);
    root.get("/console/signing-keys").await.must_be(200);
    for path in [NEW, delete] {
        assert!(root.get(path).await.location().starts_with("/console/sign-in/again?next="), "{path}");
    }
    for form in [form, deletion] {
        assert!(root.send(&form).await.location().starts_with("/console/sign-in/again?next="));
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM signing_keys").await, 2);
}
