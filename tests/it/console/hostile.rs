//! Hostile text in the fields of an API client, on the pages that show it, and in paths and queries.

use serde_json::json;

use super::{NEW, client_of, furnish, new_client_form};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    hostile_text_is_shown_as_text,
    invisible_characters_line_breaks_and_invalid_values_are_refused,
    large_fields_are_refused_and_kept_in_the_form,
);

const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}${7*7}=cmd|' /C calc'!A0";

async fn hostile_text_is_shown_as_text(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let body = json!({"name": HOSTILE});
    assert_eq!(admin.patch("/v1/products/gst", &body).await.status(), 200);
    assert_eq!(admin.patch("/v1/workspaces/acme", &body).await.status(), 200);
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, HOSTILE).await.with("product", "gst").with("description", HOSTILE);
    let draft = browser.submit(&form).await.must_be(200);
    let shown = browser.submit(&draft.form("/drafts/")).await.must_be(200);
    let client = client_of(&shown);
    let mut pages = vec![draft, shown, browser.get("/console/workspaces").await, browser.get(NEW).await];
    pages.push(browser.get("/console/workspaces/acme/api-clients").await);
    for part in [
        "",
        "/secrets",
        "/secrets/new",
        "/tokens",
        "/tokens/new",
        "/tokens/revoke-all",
        "/history",
        "/usage",
        "/watch",
        "/edit",
        "/change",
        "/disable",
        "/delete",
    ] {
        pages.push(browser.get(&format!("{client}{part}")).await);
    }
    for page in pages {
        let page = page.must_be(200);
        assert!(
            !page.html.contains("<script>") && !page.html.contains("<img"),
            "{}: {}",
            page.path,
            page.html
        );
        assert!(page.says(HOSTILE), "{} does not show it: {}", page.path, page.text());
    }
    // In a search, hostile text is shown as text. In a path, it names nothing that exists.
    let query: String = reqwest::Url::parse_with_params("http://h/", [("label", HOSTILE)])
        .unwrap()
        .query()
        .unwrap()
        .to_owned();
    let found = browser.get(&format!("/console/workspaces/acme/api-clients?{query}")).await.must_be(200);
    assert!(!found.html.contains("<script>") && found.says("alert(1)"), "{}", found.html);
    for path in [
        "/console/workspaces/%22%3E%3Cscript%3E/api-clients",
        "/console/api-clients/%3Cscript%3E",
        "/console/drafts/%00",
        "/console/reveals/%E2%80%AE",
    ] {
        browser.get(path).await.must_be(404);
    }
}

async fn invisible_characters_line_breaks_and_invalid_values_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "SAP").await;
    for (field, value) in [
        ("label", "a\u{202e}b"),
        ("label", "a\u{200b}b"),
        ("label", "a\r\nBcc: x"),
        ("label", "\u{2060}"),
        ("description", "a\u{2066}b"),
        ("emails", "a@b.example%0d%0aBcc:x"),
        ("emails", "=?utf-8?q?a?=@b.example"),
        ("allowed_ips", "javascript:alert(1)"),
        ("expires_at", "yesterday"),
        ("expires_at", "2001-01-01"),
        ("signing_alg", "none"),
        ("custom_value", "-1"),
    ] {
        let bad = form.clone().with(field, value);
        let bad = if field == "custom_value" { bad.with("expiration", "custom") } else { bad };
        let page = browser.send(&bad).await.must_be(422);
        assert!(page.html.contains(&format!("id=\"{field}-error\"")), "{field} {value:?}: {}", page.text());
    }
    for (name, value) in
        [("product", "nothing"), ("permission", "root"), ("expiration", "soon"), ("active_tokens", "number")]
    {
        browser.send(&form.clone().with(name, value)).await.must_be(422);
    }
}

async fn large_fields_are_refused_and_kept_in_the_form(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, &"x".repeat(10_000)).await.with("description", &"y".repeat(10_000));
    let page = browser.send(&form).await.must_be(422);
    assert!(page.by_id("label-error").contains("at most 200 characters"), "{}", page.text());
    assert_eq!(page.form("/api-clients/new").value("description").len(), 10_000);
    let many = (0..300).fold(form.with("label", "a"), |form, _| form.and("product", "gst"));
    browser.send(&many).await.must_be(422);
}
