//! An operator with roles in several workspaces chooses one of them on each page that shows a single workspace.

use mintmark::kernel::Manager;
use mintmark::model::operator::Role;
use mintmark::tenants::WorkspaceChange;
use serde_json::json;

use super::{error_at, form_at};
use crate::console::client_of;
use crate::support::{Browser, Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    every_list_offers_the_workspaces_of_the_operator,
    a_webhook_is_created_in_the_chosen_workspace,
    a_suspended_workspace_is_not_offered_and_blocks_no_other,
    an_outage_is_not_shown_as_a_missing_workspace,
    two_roles_in_a_workspace_show_it_once,
    a_choice_that_lacks_workspaces_says_so,
);

const LISTS: [&str; 5] = ["webhooks", "deliveries", "never-expiring", "audit", "products"];
// Nobody listens there.
const URL: &str = "http://127.0.0.1:9/in";

/// An app with four workspaces, of which `acme` has this status.
async fn furnished(engine: Engine, status: &str) -> TestApp {
    let app = TestApp::start_with(engine, "outbound.allow = [\"127.0.0.1\"]").await;
    let admin = app.administrator().await;
    admin.product("e-invoicing", json!({"name": "E-Invoicing"})).await;
    for (id, name) in [("acme", "Acme India"), ("beta", "Beta"), ("gamma", "Gamma"), ("other", "Other")] {
        admin.workspace(id, json!({"name": name})).await;
    }
    admin.patch("/v1/workspaces/acme", &json!({"status": status})).await;
    app
}

/// An administrator of `acme` and `beta` who is a viewer of `gamma`.
async fn ann(app: &TestApp) -> Browser<'_> {
    let admin = |id: &str| Role::WorkspaceAdmin(id.to_owned());
    app.operator(
        "ann@example.com",
        vec![admin("acme"), admin("beta"), Role::WorkspaceViewer("gamma".to_owned())],
    )
    .await
}

/// The ids that the page offers, and the one that is chosen.
fn offered(page: &Page) -> (Vec<&str>, Option<&str>) {
    let Some((_, rest)) = page.html.split_once("<select id=\"workspace_id\"") else {
        return (Vec::new(), None);
    };
    let options = rest.split("</select>").next().unwrap();
    let values = options.split("<option value=\"").skip(1);
    let (mut ids, mut chosen) = (Vec::new(), None);
    for value in values {
        let (id, rest) = value.split_once('"').unwrap();
        chosen = chosen.or(rest.starts_with(" selected").then_some(id));
        ids.push(id);
    }
    (ids, chosen)
}

async fn every_list_offers_the_workspaces_of_the_operator(engine: Engine) {
    let app = furnished(engine, "active").await;
    let ann = ann(&app).await;
    let one = app.operator("bob@example.com", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    for list in LISTS {
        let here = format!("/console/{list}");
        let first = ann.open(&here).await.must_be(200);
        assert_eq!(offered(&first), (vec!["acme", "beta", "gamma"], Some("acme")), "{list}");
        assert!(first.says("Acme India") && first.says("Gamma"), "{list}: {}", first.text());
        assert!(first.forms().iter().any(|form| form.action == here), "{list}: a form works without scripts");
        let second = ann.get(&format!("{here}?workspace_id=beta")).await.must_be(200);
        assert_eq!(offered(&second).1, Some("beta"), "{list}");
        // A workspace without a role there is not found, and an operator of one workspace is offered no choice.
        ann.get(&format!("{here}?workspace_id=other")).await.must_be(404);
        assert_eq!(offered(&one.open(&here).await.must_be(200)).0, [""; 0], "{list}");
    }
    // A platform administrator chooses only for webhooks: one of the four workspaces or `platform`. The other lists show them
    // all workspaces together.
    let root = app.platform_admin().await;
    for list in LISTS {
        let ids = offered(&root.open(&format!("/console/{list}")).await.must_be(200)).0.len();
        assert_eq!(ids, if list == "webhooks" { 5 } else { 0 }, "{list}");
    }
}

async fn a_webhook_is_created_in_the_chosen_workspace(engine: Engine) {
    let app = furnished(engine, "active").await;
    let ann = ann(&app).await;
    // A viewer cannot create webhooks, so `gamma` is not offered.
    let page = ann.open("/console/webhooks/new").await.must_be(200);
    assert_eq!(offered(&page), (vec!["acme", "beta"], Some("acme")));
    let form = form_at(&page, "/console/webhooks/new?workspace_id=acme").with("workspace_id", "beta");
    // The page with the error keeps the chosen workspace.
    let wrong = ann.send(&form).await.must_be(422);
    assert_eq!(error_at(&wrong, "url"), "Enter the URL that requests go to.");
    assert_eq!(offered(&wrong).1, Some("beta"));
    let sent = form_at(&wrong, "/console/webhooks/new?workspace_id=beta").with("url", URL);
    ann.send(&sent.clone().with("workspace_id", "gamma")).await.must_be(403);
    ann.send(&sent.clone().with("workspace_id", "other")).await.must_be(404);
    let shown = ann.submit(&sent).await.must_be(200);
    assert!(shown.by_id("secret").starts_with("whsec_"), "{}", shown.text());
    for (id, has_it) in [("acme", false), ("beta", true)] {
        let list = ann.get(&format!("/console/webhooks?workspace_id={id}")).await.must_be(200);
        assert_eq!(list.says(URL), has_it, "{id}: {}", list.text());
    }
    // An operator of one workspace is offered no choice.
    let one = app.operator("bob@example.com", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    assert_eq!(offered(&one.open("/console/webhooks/new").await.must_be(200)).0, [""; 0]);
}

async fn a_suspended_workspace_is_not_offered_and_blocks_no_other(engine: Engine) {
    let app = furnished(engine, "suspended").await;
    let ann = ann(&app).await;
    let page = ann.open("/console/webhooks").await.must_be(200);
    assert_eq!(offered(&page), (vec!["beta", "gamma"], Some("beta")));
    let page = ann.open("/console/webhooks/new").await.must_be(200);
    let form = form_at(&page, "/console/webhooks/new?workspace_id=beta").with("url", URL);
    let shown = ann.submit(&form).await.must_be(200);
    assert!(shown.by_id("secret").starts_with("whsec_"), "{}", shown.text());
    let page = ann.get("/console/workspaces/beta/api-clients/new").await.must_be(200);
    let form = page.form("/api-clients/new").with("label", "SAP").with("product", "e-invoicing");
    let draft = ann.submit(&form).await.must_be(200);
    let shown = ann.submit(&draft.form("/drafts/")).await.must_be(200);
    ann.get(&client_of(&shown)).await.must_be(200);
}

async fn an_outage_is_not_shown_as_a_missing_workspace(engine: Engine) {
    let app = furnished(engine, "active").await;
    let ann = ann(&app).await;
    let page = ann.get("/console/webhooks/new?workspace_id=beta").await.must_be(200);
    let form = form_at(&page, "/console/webhooks/new?workspace_id=beta").with("url", URL);
    ann.submit(&form.with("workspace_id", "beta")).await.must_be(200);
    let list = ann.get("/console/webhooks?workspace_id=beta").await.must_be(200);
    let hook = list.link(URL);
    let pages = [hook.as_str(), "/console", "/console/workspaces", "/console/webhooks"];
    app.database.execute("ALTER TABLE workspaces RENAME TO away").await;
    for path in pages {
        let page = ann.get(path).await.must_be(503);
        assert!(page.says("not available right now"), "{path}: {}", page.text());
    }
    app.database.execute("ALTER TABLE away RENAME TO workspaces").await;
    for path in pages {
        ann.open(path).await.must_be(200);
    }
}

async fn two_roles_in_a_workspace_show_it_once(engine: Engine) {
    let app = furnished(engine, "active").await;
    let admin = |id: &str| Role::WorkspaceAdmin(id.to_owned());
    let roles = vec![admin("acme"), admin("beta"), Role::WorkspaceViewer("acme".to_owned())];
    let bob = app.operator("bob@example.com", roles).await;
    assert_eq!(offered(&bob.open("/console/webhooks").await.must_be(200)).0, ["acme", "beta"]);
    let list = bob.get("/console/workspaces").await.must_be(200);
    assert_eq!(list.html.matches("<span class=\"under mono\">acme</span>").count(), 1, "{}", list.html);
}

async fn a_choice_that_lacks_workspaces_says_so(engine: Engine) {
    let app = furnished(engine, "active").await;
    let root = app.platform_admin().await;
    let hint = "Not all workspaces are listed here.";
    let pages = ["/console/webhooks", "/console/webhooks/new?workspace_id=acme"];
    for path in pages {
        assert!(!root.get(path).await.must_be(200).says(hint), "{path}");
    }
    let create = async |id: &str| {
        let change =
            WorkspaceChange { name: Some(format!("Place {id}")).into(), ..WorkspaceChange::default() };
        let id = Some(id.to_owned()).into();
        let tenants = &app.core.services.tenants;
        tenants.create_workspace(&Manager::command_line(), &id, &change, None).await.unwrap();
    };
    // With `platform` and the four that exist, these are 201, one more than a choice lists.
    for number in 0..196 {
        create(&format!("w{number}")).await;
    }
    for path in pages {
        let page = root.get(path).await.must_be(200);
        assert_eq!(offered(&page).0.len(), 200, "{path}");
        assert!(page.says(hint), "{}", page.text());
    }
    // On its own page, a workspace is listed although it is not among the first 200.
    create("zz").await;
    for path in ["/console/webhooks?workspace_id=zz", "/console/webhooks/new?workspace_id=zz"] {
        let page = root.get(path).await.must_be(200);
        assert_eq!((offered(&page).1, page.says(hint)), (Some("zz"), true), "{path}");
    }
}
