//! Products: created, changed and deleted by platform administrators, and listed for administrators of a workspace.

use mintmark::model::operator::Role;
use serde_json::json;

use super::{error_at, fill, form_at};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    a_product_is_created_changed_and_deleted,
    errors_are_shown_beside_their_fields,
    a_granted_product_cannot_be_deleted,
    two_changes_of_a_product_do_not_overwrite_each_other,
    administrators_of_a_workspace_see_only_the_products_that_it_may_grant,
);

async fn a_product_is_created_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let empty = root.get("/console/products").await.must_be(200);
    assert!(empty.says("No products yet"), "{}", empty.text());
    let made = fill(
        &root,
        "/console/products/new",
        &[
            ("product", "e-invoicing"),
            ("name", "E-Invoicing"),
            ("description", "Invoices\nof India"),
            ("audience", "https://api.example.com"),
            ("max_value", "90"),
            ("max_unit", "minutes"),
        ],
    )
    .await;
    assert_eq!(made.location(), "/console/products?done=product-created");
    let list = root.follow(made).await.must_be(200);
    for words in ["The product is created", "E-Invoicing", "https://api.example.com", "90 minutes", "Allowed"]
    {
        assert!(list.says(words), "{words}: {}", list.text());
    }
    let admin = app.administrator().await;
    let stored: serde_json::Value = admin.get("/v1/products/e-invoicing").await.json().await.unwrap();
    assert_eq!(stored["max_token_lifetime_seconds"], 5400);
    assert_eq!(stored["description"], "Invoices\nof India");

    let here = list.link("E-Invoicing");
    let page = root.get(&here).await.must_be(200);
    let form = form_at(&page, &here);
    assert_eq!((form.value("max_value"), form.value("max_unit")), ("90", "minutes"));
    let same = root.submit(&form).await.must_be(200);
    assert!(same.says("Nothing was different"), "{}", same.text());
    let mut form = form.with("name", "Invoices").with("max_value", "").with("audience", "");
    form.fields.retain(|(name, _)| name != "never_expires_allowed");
    let list = root.submit(&form).await.must_be(200);
    assert!(list.says("The product is changed") && list.says("Not allowed"), "{}", list.text());
    let stored: serde_json::Value = admin.get("/v1/products/e-invoicing").await.json().await.unwrap();
    assert_eq!(
        (
            &stored["name"],
            &stored["max_token_lifetime_seconds"],
            &stored["audience"],
            &stored["never_expires_allowed"]
        ),
        (&json!("Invoices"), &json!(null), &json!(null), &json!(false))
    );

    let page = root.get(&format!("{here}/delete")).await.must_be(200);
    assert!(page.says("nothing stops working"), "{}", page.text());
    let list = root.submit(&form_at(&page, &format!("{here}/delete"))).await.must_be(200);
    assert!(list.says("The product is deleted") && list.says("No products yet"), "{}", list.text());
    root.get(&here).await.must_be(404);
}

async fn errors_are_shown_beside_their_fields(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    app.administrator().await.product("gst", json!({"name": "GST"})).await;
    for (field, value, words) in [
        ("product", "GST", "Code must have 1 to 64 characters"),
        ("product", "mintmark:x", "must not begin with mintmark:"),
        ("product", "gst", "exists already"),
        ("product", "", "Enter a code for the product."),
        ("name", "", "Enter a name for the product."),
        ("audience", "not a uri", "Audience must be an absolute URI"),
        ("max_value", "many", "Enter the longest lifetime as a whole number"),
        ("max_value", "1", "Longest lifetime"),
    ] {
        let fields = [("product", "new"), ("name", "New"), ("max_unit", "seconds"), (field, value)];
        let page = fill(&root, "/console/products/new", &fields).await.must_be(422);
        assert!(page.title().starts_with("Error: "), "{}", page.title());
        assert!(error_at(&page, field).contains(words), "{field}: {}", page.text());
        assert_eq!(form_at(&page, "/console/products/new").value(field), value, "what was typed is kept");
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM products").await, 1);
}

async fn a_granted_product_cannot_be_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    let admin = app.administrator().await;
    admin.product("gst", json!({"name": "GST"})).await;
    admin.workspace("acme", json!({})).await;
    let before = root.get("/console/products/gst/delete").await.must_be(200);
    let form = form_at(&before, "/console/products/gst/delete");
    admin.client("acme", json!({"products": ["gst"]})).await;
    let page = root.get("/console/products/gst/delete").await.must_be(200);
    assert!(
        page.says("It cannot be deleted yet") && page.says("1 API client is granted gst"),
        "{}",
        page.text()
    );
    assert!(page.forms().iter().all(|form| !form.action.ends_with("/delete")));
    // The form of a page that was opened before the grant is refused.
    let refused = root.send(&form).await.must_be(409);
    assert!(refused.says("1 API client is granted the product"), "{}", refused.text());
    root.get("/console/products/gst").await.must_be(200);
}

async fn two_changes_of_a_product_do_not_overwrite_each_other(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    app.administrator().await.product("gst", json!({"name": "GST"})).await;
    let page = root.get("/console/products/gst").await.must_be(200);
    let form = form_at(&page, "/console/products/gst");
    root.send(&form.clone().with("name", "First")).await.must_be(303);
    let late = root.send(&form.with("name", "Second")).await.must_be(409);
    assert!(late.says("Somebody changed this in the meantime"), "{}", late.text());
    assert!(root.get("/console/products").await.says("First"));
}

async fn administrators_of_a_workspace_see_only_the_products_that_it_may_grant(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({"name": "GST"})).await;
    admin.product("secret-project", json!({"name": "Secret project"})).await;
    admin.workspace("acme", json!({"name": "Acme", "products_allowed": ["gst"]})).await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let list = ann.open("/console/products").await.must_be(200);
    assert_eq!(list.path, "/console/products?workspace_id=acme");
    assert!(list.says("GST") && !list.html.contains("ecret"), "{}", list.text());
    assert!(!list.says("Create product"));
    assert_eq!(admin.patch("/v1/workspaces/acme", &json!({"products_allowed": []})).await.status(), 200);
    let none = ann.open("/console/products").await.must_be(200);
    assert!(none.says("Ask a platform administrator"), "{}", none.text());
}
