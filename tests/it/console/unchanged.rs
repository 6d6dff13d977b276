//! Values that only the management API can set stay as they are when somebody saves the form that shows them. Line ends that
//! somebody types become line feeds.

use mintmark::model::operator::Role;
use serde_json::{Value, json};

use super::furnish;
use crate::support::{Administrator, Browser, Engine, HtmlForm, TestApp, on_both_engines};

on_both_engines!(
    a_form_that_is_saved_as_it_was_opened_changes_nothing,
    pairs_of_metadata_that_were_not_touched_stay,
    line_ends_that_are_typed_are_stored_as_line_feeds,
);

const TEXT: &str = "\n  Nightly run\r\nOwner: finance\rat night \n";

/// The form on a page whose action is `action`.
async fn form(browser: &Browser<'_>, page: &str, action: &str) -> HtmlForm {
    let page = browser.get(page).await.must_be(200);
    let form = page.forms().into_iter().find(|form| form.action == action);
    form.unwrap_or_else(|| panic!("no form for {action}: {}", page.text()))
}

async fn record(admin: &Administrator<'_>, path: &str) -> Value {
    admin.get(path).await.json().await.unwrap()
}

async fn a_form_that_is_saved_as_it_was_opened_changes_nothing(engine: Engine) {
    let app = TestApp::start_with(engine, "outbound.allow = [\"127.0.0.1\"]").await;
    let admin = furnish(&app).await;
    let root = app.platform_admin().await;
    let mut pages = Vec::new();
    for more in [
        json!({
            "label": "SAP  S/4HANA", "description": TEXT, "products": ["gst", "e-invoicing"],
            "permissions": ["mintmark:read"], "token_expiry": {"mode": "after", "seconds": 3601},
            "notification_emails": ["o'neil+erp@acme.example", "b=c@acme.example"],
            "allowed_ips": ["203.0.113.7", "::ffff:203.0.113.0/120", "2001:db8::/32"],
            "expires_at": "2027-01-31T23:59:59Z", "signing_alg": "ES256",
            "active_tokens": "replace", "replace_grace_seconds": 61,
            "metadata": {"a=b": "c", "a": "b=c", " key ": " value ", "empty": "", "=": "="},
        }),
        json!({
            "products": ["gst"], "token_expiry": {"mode": "never"}, "active_tokens": 7,
            "expires_at": "2027-01-31T00:00:00Z", "description": " x ",
        }),
        json!({"products": ["gst"], "token_expiry": {"mode": "after", "seconds": 7200}}),
    ] {
        let (client, _) = admin.client("acme", more).await;
        let page = format!("/console/api-clients/{}/change", client.client_id);
        pages.push((format!("/v1/api-clients/{}", client.client_id), page));
    }
    let product = json!({"description": TEXT, "max_token_lifetime_seconds": 3661, "audience": "urn:x"});
    assert_eq!(admin.patch("/v1/products/short", &product).await.status(), 200);
    pages.push(("/v1/products/short".to_owned(), "/console/products/short".to_owned()));
    admin.workspace("spare", json!({"description": TEXT, "products_allowed": []})).await;
    pages.push(("/v1/workspaces/spare".to_owned(), "/console/workspaces/spare".to_owned()));
    let hook = json!({"url": "http://127.0.0.1:9/a,b", "events": ["client.*"], "description": TEXT});
    let hook = admin.create("/v1/workspaces/acme/webhooks", &hook).await;
    let id = hook["webhook_id"].as_str().unwrap();
    pages.push((format!("/v1/webhooks/{id}"), format!("/console/webhooks/{id}/edit")));
    let (acme, spare) = ("acme".to_owned(), "spare".to_owned());
    let roles =
        vec![Role::WorkspaceAdmin(acme.clone()), Role::WorkspaceViewer(acme), Role::WorkspaceViewer(spare)];
    app.operator("eve@acme.example", roles).await;
    let page = root.get("/console/operators").await.must_be(200).link("eve");
    pages.push((page.replace("/console/", "/v1/"), page));

    for (path, page) in pages {
        let before = record(&admin, &path).await;
        let sent = root.send(&form(&root, &page, &page).await).await;
        assert!(sent.location().ends_with("?done=unchanged"), "{page}: {}", sent.location());
        assert_eq!(record(&admin, &path).await, before);
    }
}

async fn pairs_of_metadata_that_were_not_touched_stay(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let root = app.platform_admin().await;
    let pairs = json!({"a=b": "c", "a": "b=c", " key ": " value ", "empty": ""});
    let (client, _) = admin.client("acme", json!({"products": ["gst"], "metadata": pairs})).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    let page = format!("/console/api-clients/{}/change", client.client_id);
    let change = async |typed: &str| {
        let sent = root.send(&form(&root, &page, &page).await.with("metadata", typed)).await;
        assert!(sent.location().ends_with("?done=saved"), "{}", sent.location());
        record(&admin, &path).await["metadata"].clone()
    };
    let shown = form(&root, &page, &page).await.value("metadata").replace("empty=", " owner = finance ");
    let now = change(&shown).await;
    assert_eq!(now, json!({"a=b": "c", "a": "b=c", " key ": " value ", "owner": "finance"}));
    // Two of the pairs look the same in the form, as `a=b=c`. If that line is sent once, one of the two stays. The pair `owner`
    // gets another value.
    let now = change("a=b=c\nowner=sales").await;
    assert_eq!(now.as_object().unwrap().len(), 2, "{now}");
    assert!(now["owner"] == "sales" && (now["a"] == "b=c" || now["a=b"] == "c"), "{now}");
}

async fn line_ends_that_are_typed_are_stored_as_line_feeds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let root = app.platform_admin().await;
    let page = "/console/products/gst";
    let typed = form(&root, page, page).await.with("description", " First\nSecond\n");
    root.send(&typed).await.must_be(303);
    assert_eq!(record(&admin, "/v1/products/gst").await["description"], "First\nSecond");
}
