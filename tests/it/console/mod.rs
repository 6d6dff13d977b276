//! The console over real HTTP, on both engines, as a browser without scripts uses it.

mod access;
mod account;
mod base;
mod clients;
mod create;
mod hostile;
mod pages;
mod person;
mod reveals;
mod sign_in;
mod templates;
mod unchanged;
mod usage;

use serde_json::json;

use crate::support::{Administrator, Browser, HtmlForm, Page, TestApp};

/// Creates three products and the workspace `acme`. Returns the management client that did it.
async fn furnish(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("e-invoicing", json!({"name": "E-Invoicing"})).await;
    admin.product("gst", json!({"name": "GST"})).await;
    admin
        .product(
            "short",
            json!({"name": "Short", "max_token_lifetime_seconds": 600, "never_expires_allowed": false}),
        )
        .await;
    admin.workspace("acme", json!({"name": "Acme India"})).await;
    admin
}

const NEW: &str = "/console/workspaces/acme/api-clients/new";

/// The form of a new client, filled in with this label and one product.
async fn new_client_form(browser: &Browser<'_>, label: &str) -> HtmlForm {
    let page = browser.get(NEW).await.must_be(200);
    page.form("/api-clients/new").with("label", label).with("product", "e-invoicing")
}

/// Creates a client and stays at the page that shows its secret.
async fn create(browser: &Browser<'_>, label: &str) -> Page {
    let draft = browser.submit(&new_client_form(browser, label).await).await.must_be(200);
    browser.submit(&draft.form("/drafts/")).await.must_be(200)
}

/// The address of the client whose secret a page shows.
fn client_of(shown: &Page) -> String {
    format!("/console/api-clients/{}", shown.by_id("client-id"))
}
