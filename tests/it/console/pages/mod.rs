//! The pages of the console, except those of one API client.

mod access;
mod audit;
mod choice;
mod deliveries;
mod help;
mod hostile;
mod never_expiring;
mod operators;
mod products;
mod secrets_shown;
mod signing_keys;
mod webhooks;
mod workspaces;

use crate::support::{Browser, HtmlForm, Page};

/// The form that is sent to exactly this address.
#[track_caller]
fn form_at(page: &Page, action: &str) -> HtmlForm {
    let form = page.forms().into_iter().find(|form| form.action == action);
    form.unwrap_or_else(|| panic!("no form for {action} on {}: {}", page.path, page.text()))
}

/// Gets a page, fills in its form that is sent to the same address, and sends it.
async fn fill(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Page {
    let page = browser.get(path).await.must_be(200);
    let form = fields.iter().fold(form_at(&page, path), |form, (name, value)| form.with(name, value));
    browser.send(&form).await
}

/// The error beside a field.
#[track_caller]
fn error_at(page: &Page, field: &str) -> String {
    let opening = format!("id=\"{field}-error\"><span class=\"visually-hidden\">Error: </span>");
    let rest =
        page.html.split_once(&opening).unwrap_or_else(|| panic!("nothing at {field}: {}", page.text())).1;
    rest.split("</span>").next().unwrap().to_owned()
}
