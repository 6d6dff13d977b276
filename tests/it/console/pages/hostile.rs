//! Hostile text in fields, paths and queries of the pages in this folder.

use serde_json::json;

use super::{fill, form_at};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    hostile_text_is_shown_as_text,
    invisible_characters_line_breaks_and_invalid_values_are_refused,
    hostile_paths_and_queries_do_no_harm,
);

const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}${7*7}=cmd|' /C calc'!A0";

async fn hostile_text_is_shown_as_text(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    let named = [("name", HOSTILE), ("description", HOSTILE)];
    let product = [&named[..], &[("product", "gst")]].concat();
    fill(&root, "/console/products/new", &product).await.must_be(303);
    let workspace = [&named[..], &[("workspace_id", "acme")]].concat();
    fill(&root, "/console/workspaces/new", &workspace).await.must_be(303);
    let ann = [("name", HOSTILE), ("email", "ann@acme.example"), ("role", "workspace_admin:acme")];
    let shown = root.follow(fill(&root, "/console/operators/new", &ann).await).await;
    let body = json!({
        "label": HOSTILE, "products": ["gst"], "token_expiry": {"mode": "never"}, "notification_emails": ["a@b.example"]
    });
    let (client, _) = admin.client("acme", body).await;
    app.access_token(&client, &[]).await;
    let list = root.get("/console/operators").await;
    let operator = list.link(HOSTILE);
    let tokens = root.get("/console/never-expiring").await;
    let revoke = tokens.html.split("href=\"").find(|href| href.contains("/revoke")).unwrap();
    let revoke = revoke.split('"').next().unwrap().to_owned();
    let mut pages = vec![shown, list, tokens];
    for path in [
        "/console/products",
        "/console/products/gst",
        "/console/products/gst/delete",
        "/console/workspaces",
        "/console/workspaces/new",
        "/console/workspaces/acme",
        "/console/workspaces/acme/suspend",
        "/console/workspaces/acme/delete",
        "/console/operators/new",
        &operator,
        &format!("{operator}/delete"),
        &revoke,
        "/console/audit",
        "/console/audit?workspace_id=acme",
        "/console/deliveries",
    ] {
        pages.push(root.get(path).await);
    }
    for page in pages {
        let page = page.must_be(200);
        assert!(
            !page.html.contains("<script>") && !page.html.contains("<img"),
            "{}: {}",
            page.path,
            page.html
        );
        assert!(page.html.contains("alert(1)"), "{} does not show it", page.path);
    }
}

async fn invisible_characters_line_breaks_and_invalid_values_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    app.administrator().await.workspace("acme", json!({})).await;
    let long = "x".repeat(10_000);
    for (path, needed) in [
        ("/console/products/new", [("product", "gst"), ("name", "GST")]),
        ("/console/workspaces/new", [("workspace_id", "new"), ("name", "New")]),
        ("/console/operators/new", [("email", "ann@acme.example"), ("role", "workspace_admin:acme")]),
    ] {
        for value in ["a\u{202e}b", "a\u{200b}b", "a\r\nBcc: x", "\u{2060}", "", long.as_str()] {
            let fields = [&needed[..], &[("name", value)]].concat();
            let page = fill(&root, path, &fields).await.must_be(422);
            assert!(page.html.contains("id=\"name-error\""), "{path} {value:?}: {}", page.text());
            assert!(page.html.contains("autofocus"), "the list of problems has the focus");
        }
        // The other field that is checked: the code, the id or the email address.
        let (first, _) = needed[0];
        for value in ["a b", "ü", "../x", "<script>", long.as_str()] {
            let fields = [&needed[..], &[("name", "New"), (first, value)]].concat();
            let page = fill(&root, path, &fields).await;
            assert_eq!(page.status, 422, "{path} {first} {value:?}");
        }
    }
    for value in ["a\u{2066}b", "a\u{0}b", long.as_str()] {
        let fields = [("product", "gst"), ("name", "GST"), ("description", value)];
        let page = fill(&root, "/console/products/new", &fields).await;
        assert!(matches!(page.status, 400 | 422), "{value:?}");
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM products").await, 0);
}

async fn hostile_paths_and_queries_do_no_harm(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = app.platform_admin().await;
    for path in [
        "/console/products/%3Cscript%3E",
        "/console/products/%00",
        "/console/workspaces/%E2%80%AE",
        "/console/workspaces/%22%3E%3Cscript%3E/delete",
        "/console/operators/%00",
        "/console/operators/%3Cscript%3E/delete",
        "/console/operators/links/%00",
        "/console/signing-keys/%3Cscript%3E/delete",
        "/console/never-expiring/cl_1/%00/revoke",
        "/console/audit/x",
    ] {
        let page = root.get(path).await.must_be(404);
        assert!(!page.html.contains("<script>") && page.says("Page not found"), "{path}");
    }
    for query in
        ["client_id=%22%3E%3Cscript%3E", "workspace_id=%00", "action=%3Cimg%3E", "since=%0d%0aSet-Cookie:x"]
    {
        let page = root.get(&format!("/console/audit?{query}")).await.must_be(400);
        assert!(!page.html.contains("<script>") && !page.html.contains("<img"), "{query}: {}", page.html);
    }
    for page in ["never-expiring", "deliveries", "products", "workspaces", "operators"] {
        root.get(&format!("/console/{page}?after=%00")).await.must_be(400);
        root.get(&format!("/console/{page}?done=%3Cscript%3E")).await.must_be(200);
    }
    // A form with 900 roles is refused.
    let page = root.get("/console/operators/new").await.must_be(200);
    let form = form_at(&page, "/console/operators/new").with("name", "Ann").with("email", "ann@acme.example");
    let many = (0..900).fold(form, |form, n| form.and("role", &format!("workspace_admin:w{n}")));
    root.send(&many).await.must_be(422);
}
