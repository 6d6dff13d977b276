//! Workspaces: created, changed, suspended and deleted.

use mintmark::model::operator::Role;
use serde_json::{Value, json};

use super::{error_at, fill, form_at};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    a_workspace_is_created_and_changed,
    errors_are_shown_beside_their_fields,
    a_workspace_is_suspended_and_resumed,
    deleting_a_workspace_needs_its_id_typed_and_a_fresh_sign_in,
    products_that_are_granted_stay_allowed,
    an_administrator_of_the_workspace_changes_only_its_name,
    the_built_in_workspace_cannot_be_suspended_or_deleted,
);

const NEW: &str = "/console/workspaces/new";

async fn a_workspace_is_created_and_changed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({"name": "GST"})).await;
    admin.product("tax", json!({"name": "Tax"})).await;
    let made = fill(&root, NEW, &[("workspace_id", "acme"), ("name", "Acme India")]).await;
    assert_eq!(made.location(), "/console/workspaces/acme/api-clients?done=workspace-created");
    let generated = fill(&root, NEW, &[("name", "No id")]).await.location();
    assert!(generated.starts_with("/console/workspaces/ws_"), "{generated}");
    let list = root.get("/console/workspaces").await.must_be(200);
    for words in ["Acme India", "acme", "No id", "Active", "All"] {
        assert!(list.says(words), "{words}: {}", list.text());
    }
    let here = list.link("Settings of Acme India");
    let page = root.get(&here).await.must_be(200);
    let mut form = form_at(&page, &here)
        .with("name", "Acme")
        .with("description", "All plants")
        .with("products", "some")
        .and("product", "gst");
    form.fields.retain(|(name, _)| name != "never_expires_allowed");
    let page = root.submit(&form).await.must_be(200);
    assert!(page.says("The workspace is changed"), "{}", page.text());
    let stored: Value = admin.get("/v1/workspaces/acme").await.json().await.unwrap();
    assert_eq!(
        (
            &stored["name"],
            &stored["description"],
            &stored["products_allowed"],
            &stored["never_expires_allowed"]
        ),
        (&json!("Acme"), &json!("All plants"), &json!(["gst"]), &json!(false))
    );
    // Sent again unchanged, the form changes nothing.
    let page = root.submit(&form_at(&page, &here)).await.must_be(200);
    assert!(page.says("Nothing was different"), "{}", page.text());
    // An allowed product that was deleted stays in the list until somebody removes it.
    assert_eq!(admin.delete("/v1/products/gst").await.status(), 204);
    let page = root.get(&here).await.must_be(200);
    assert!(page.says("gst (deleted)"), "{}", page.text());
}

async fn errors_are_shown_beside_their_fields(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    app.administrator().await.workspace("acme", json!({})).await;
    for (field, value, words) in [
        ("workspace_id", "a b", "Id must have 1 to 64 characters"),
        ("workspace_id", "acme", "in use"),
        ("name", " ", "Enter a name for the workspace."),
        ("description", "a\u{202e}b", "Description"),
    ] {
        let page = fill(&root, NEW, &[("name", "New"), (field, value)]).await.must_be(422);
        assert!(error_at(&page, field).contains(words), "{field}: {}", page.text());
    }
    let page = fill(&root, NEW, &[("name", "New"), ("products", "some"), ("product", "no-such")]).await;
    assert!(error_at(&page.must_be(422), "products").contains("is not a product"));
}

async fn a_workspace_is_suspended_and_resumed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let page = root.get("/console/workspaces/acme/suspend").await.must_be(200);
    assert!(page.says("1 API client stops working at once"), "{}", page.text());
    let page = root.submit(&form_at(&page, "/console/workspaces/acme/suspend")).await.must_be(200);
    assert!(
        page.says("The workspace is suspended") && page.says("This workspace is suspended"),
        "{}",
        page.text()
    );
    assert_eq!(app.token(&client, &[]).await.status(), 401);
    // The operators of the workspace are refused, and the pages say why.
    let own = ann.get("/console/workspaces").await.must_be(200);
    assert!(own.says("Suspended") && own.says("ask a platform administrator"), "{}", own.text());
    let stopped = ann.get("/console/workspaces/acme").await.must_be(403);
    assert!(stopped.says("This workspace is suspended"), "{}", stopped.text());
    ann.get("/console/audit").await.must_be(403);
    let page = root.submit(&form_at(&page, "/console/workspaces/acme/resume")).await.must_be(200);
    assert!(page.says("The workspace is active again"), "{}", page.text());
    assert_eq!(app.token(&client, &[]).await.status(), 200);
    ann.get("/console/workspaces/acme").await.must_be(200);
}

async fn deleting_a_workspace_needs_its_id_typed_and_a_fresh_sign_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    let here = "/console/workspaces/acme/delete";
    let page = root.get(here).await.must_be(200);
    let form = form_at(&page, here);
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let full = root.get(here).await.must_be(200);
    assert!(full.says("Acme cannot be deleted yet") && full.says("It has 1 API client"), "{}", full.text());
    let refused = root.send(&form.clone().with("typed", "acme")).await.must_be(409);
    assert!(refused.says("The workspace has 1 API client"), "{}", refused.text());
    assert_eq!(admin.delete(&format!("/v1/api-clients/{}", client.client_id)).await.status(), 204);

    for typed in ["", "Acme", "acm"] {
        let page = root.send(&form.clone().with("typed", typed)).await.must_be(422);
        assert!(error_at(&page, "typed").contains("Type acme"), "{}", page.text());
    }
    // A sign-in is fresh for five minutes.
    app.clock.advance(301);
    let again = "/console/sign-in/again?next=%2Fconsole%2Fworkspaces%2Facme%2Fdelete";
    assert_eq!(root.get(here).await.location(), again);
    assert!(
        root.send(&form.clone().with("typed", "acme")).await.location().starts_with("/console/sign-in/again")
    );
    assert_eq!(admin.get("/v1/workspaces/acme").await.status(), 200);
    let fresh = app.signed_in("root@example.com").await;
    let done = fill(&fresh, here, &[("typed", "acme")]).await;
    assert_eq!(done.location(), "/console/workspaces?done=workspace-deleted");
    fresh.get("/console/workspaces/acme").await.must_be(404);
}

async fn products_that_are_granted_stay_allowed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    admin.client("acme", json!({"products": ["gst"]})).await;
    let page = fill(&root, "/console/workspaces/acme", &[("products", "some")]).await.must_be(422);
    assert!(error_at(&page, "products").contains("gst (1)"), "{}", page.text());
}

async fn an_administrator_of_the_workspace_changes_only_its_name(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({"name": "Acme"})).await;
    let here = "/console/workspaces/acme";
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let page = ann.get(here).await.must_be(200);
    assert!(!page.says("Danger zone") && !page.says("Products that its API clients"), "{}", page.text());
    // Fields that only the form of a platform administrator has are ignored.
    let form =
        form_at(&page, here).with("name", "Acme Ltd").with("products", "some").with("description", "x");
    ann.send(&form).await.must_be(303);
    let stored: Value = admin.get("/v1/workspaces/acme").await.json().await.unwrap();
    assert_eq!(
        (&stored["name"], &stored["products_allowed"], &stored["description"]),
        (&json!("Acme Ltd"), &json!(null), &json!(null))
    );
    assert_eq!(stored["never_expires_allowed"], true);
    let viewer = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let page = viewer.get(here).await.must_be(200);
    assert!(page.says("Your role here is viewer") && page.says("Acme Ltd"), "{}", page.text());
    assert!(page.forms().iter().all(|form| form.action != here));
}

async fn the_built_in_workspace_cannot_be_suspended_or_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let page = root.get("/console/workspaces/platform").await.must_be(200);
    assert!(!page.says("Danger zone"), "{}", page.text());
    for part in ["suspend", "delete"] {
        let page = root.get(&format!("/console/workspaces/platform/{part}")).await.must_be(409);
        assert!(page.says("built in"), "{}", page.text());
    }
}
