//! What each page gives to a platform administrator, the administrator and a viewer of the workspace, the administrator of
//! another workspace, a disabled operator, and a browser without a session. What an operator may not see looks as if it did not
//! exist.

use std::fs;
use std::path::Path;

use mintmark::kernel::{Manager, Precondition};
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::operators::OperatorChange;
use serde_json::json;

use crate::support::{Browser, Engine, HtmlForm, TestApp, on_both_engines};

on_both_engines!(every_page_gives_each_role_what_it_may_have, the_rows_name_every_route);

/// The status of a GET, or of a POST of an empty form, for the platform administrator, the administrator of `acme`, its viewer,
/// and the administrator of another workspace. In paths, `{c}`, `{j}`, `{o}`, `{k}`, `{d}`, `{w}` and `{h}` are the ids of a
/// client, its token, an operator, a key, a delivery that was given up, a webhook and a delivery to it.
const ROWS: [(&str, &str, [u16; 4]); 65] = [
    ("GET", "/workspaces", [200, 200, 200, 200]),
    ("GET", "/workspaces/new", [200, 404, 404, 404]),
    ("POST", "/workspaces/new", [422, 404, 404, 404]),
    ("GET", "/workspaces/acme", [200, 200, 200, 404]),
    ("POST", "/workspaces/acme", [422, 422, 403, 404]),
    ("GET", "/workspaces/acme/suspend", [200, 404, 404, 404]),
    ("GET", "/workspaces/acme/delete", [200, 404, 404, 404]),
    ("POST", "/workspaces/acme/delete", [422, 404, 404, 404]),
    ("GET", "/products?workspace_id=acme", [200, 200, 200, 404]),
    ("GET", "/products/new", [200, 404, 404, 404]),
    ("POST", "/products/new", [422, 404, 404, 404]),
    ("GET", "/products/gst", [200, 404, 404, 404]),
    ("POST", "/products/gst", [422, 404, 404, 404]),
    ("GET", "/products/gst/delete", [200, 404, 404, 404]),
    ("POST", "/products/gst/delete", [409, 404, 404, 404]),
    ("GET", "/operators", [200, 404, 404, 404]),
    ("GET", "/operators/new", [200, 404, 404, 404]),
    ("POST", "/operators/new", [422, 404, 404, 404]),
    ("GET", "/operators/{o}", [200, 404, 404, 404]),
    ("POST", "/operators/{o}", [422, 404, 404, 404]),
    ("GET", "/operators/{o}/delete", [200, 404, 404, 404]),
    ("GET", "/operators/links/nothing", [404, 404, 404, 404]),
    ("POST", "/operators/links/nothing/stored", [404, 404, 404, 404]),
    ("GET", "/signing-keys", [200, 404, 404, 404]),
    ("GET", "/signing-keys/new", [200, 404, 404, 404]),
    ("POST", "/signing-keys/new", [422, 404, 404, 404]),
    ("GET", "/signing-keys/{k}/delete", [200, 404, 404, 404]),
    ("POST", "/signing-keys/{k}/delete", [422, 404, 404, 404]),
    ("GET", "/never-expiring?workspace_id=acme", [200, 200, 200, 404]),
    ("GET", "/never-expiring/{c}/{j}/revoke", [200, 200, 403, 404]),
    ("GET", "/audit?workspace_id=acme", [200, 200, 200, 404]),
    ("GET", "/audit.csv?workspace_id=acme", [200, 200, 200, 404]),
    ("GET", "/audit/verify", [200, 404, 404, 404]),
    ("GET", "/audit?workspace_id=acme&client_id={c}", [200, 200, 200, 404]),
    ("GET", "/deliveries?workspace_id=acme", [200, 200, 200, 404]),
    ("GET", "/webhooks?workspace_id=acme", [200, 200, 200, 404]),
    ("GET", "/webhooks/new?workspace_id=acme", [200, 200, 403, 404]),
    ("POST", "/webhooks/new?workspace_id=acme", [422, 422, 403, 404]),
    ("GET", "/webhooks/{w}", [200, 200, 200, 404]),
    ("GET", "/webhooks/{w}/edit", [200, 200, 403, 404]),
    ("POST", "/webhooks/{w}/edit", [422, 422, 403, 404]),
    ("GET", "/webhooks/{w}/delete", [200, 200, 403, 404]),
    ("GET", "/webhooks/{w}/deliveries/{h}", [200, 200, 200, 404]),
    ("GET", "/webhooks/secrets/nothing", [404, 404, 404, 404]),
    ("POST", "/webhooks/secrets/nothing/stored", [404, 404, 404, 404]),
    ("GET", "/help", [200, 200, 200, 200]),
    // Without a workspace, the platform administrator sees all (of webhooks, those of the workspace `platform`), and the others
    // are redirected to the first workspace that they have a role in.
    ("GET", "/products", [200, 303, 303, 303]),
    ("GET", "/never-expiring", [200, 303, 303, 303]),
    ("GET", "/audit", [200, 303, 303, 303]),
    ("GET", "/deliveries", [200, 303, 303, 303]),
    ("GET", "/webhooks", [200, 303, 303, 303]),
    // These change something, for those who may.
    ("POST", "/never-expiring/{c}/{j}/revoke", [303, 303, 403, 404]),
    // 409: the administrator of the workspace has sent it again before the platform administrator tries to.
    ("POST", "/deliveries/{d}/send-again?workspace_id=acme", [409, 303, 403, 404]),
    ("POST", "/operators/{o}/setup-link", [303, 404, 404, 404]),
    ("POST", "/operators/{o}/disable", [303, 404, 404, 404]),
    ("POST", "/operators/{o}/enable", [303, 404, 404, 404]),
    ("POST", "/operators/{o}/delete", [303, 404, 404, 404]),
    ("POST", "/webhooks/{w}/test", [303, 303, 403, 404]),
    ("POST", "/webhooks/{w}/deliveries/{h}/resend", [303, 303, 403, 404]),
    ("POST", "/webhooks/{w}/secrets", [303, 303, 403, 404]),
    ("POST", "/webhooks/{w}/disable", [303, 303, 403, 404]),
    ("POST", "/webhooks/{w}/enable", [303, 303, 403, 404]),
    // The administrator of the workspace deletes it before the platform administrator tries to.
    ("POST", "/webhooks/{w}/delete", [404, 303, 403, 404]),
    ("POST", "/workspaces/acme/suspend", [303, 404, 404, 404]),
    ("POST", "/workspaces/acme/resume", [303, 404, 404, 404]),
];

/// Names that only operators of `acme` and of the platform may see.
const NAMES: [&str; 7] = ["acme", "Acme", "SAP", "ann@", "eve@", "root@", "fin@"];

struct World<'a> {
    app: &'a TestApp,
    replaced: [(&'static str, String); 7],
}

impl World<'_> {
    fn path(&self, path: &str) -> String {
        let path =
            self.replaced.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
        format!("/console{path}")
    }

    /// The path with ids of things that do not exist.
    fn nowhere(path: &str) -> String {
        path.replace("acme", "nothing")
            .replace("gst", "nothing")
            .replace("{c}", &format!("cl_{}", "0".repeat(22)))
            .replace("{j}", &"A".repeat(22))
            .replace("{o}", "01990000-0000-7000-8000-000000000009")
            .replace("{k}", &"A".repeat(43))
            .replace("{d}", "01990000-0000-7000-8000-000000000008")
            .replace("{w}", "01990000-0000-7000-8000-000000000008")
            .replace("{h}", "01990000-0000-7000-8000-000000000007")
    }
}

async fn world(app: &TestApp) -> World<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({"name": "GST"})).await;
    admin.workspace("acme", json!({"name": "Acme India"})).await;
    admin.workspace("rival", json!({"name": "Rival Ltd"})).await;
    let body = json!({
        "label": "SAP", "products": ["gst"], "token_expiry": {"mode": "never"}, "notification_emails": ["fin@acme.example"]
    });
    let (client, _) = admin.client("acme", body).await;
    let tokens = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    let made = admin.create(&tokens, &json!({})).await;
    let hook = json!({"url": "https://hooks.acme.example/in"});
    let hook = admin.create("/v1/workspaces/acme/webhooks", &hook).await;
    let sent = format!("/v1/webhooks/{}/deliveries", hook["webhook_id"].as_str().unwrap());
    let sent: serde_json::Value = admin.get(&sent).await.json().await.unwrap();
    let keys: serde_json::Value = admin.get("/v1/signing-keys").await.json().await.unwrap();
    let change = OperatorChange {
        email: Member::Value("target@acme.example".to_owned()),
        name: Member::Value("Target".to_owned()),
        roles: Member::Value(vec![Role::WorkspaceViewer("acme".to_owned())]),
        ..OperatorChange::default()
    };
    let operators = &app.core.services.operators;
    let target = operators.create_operator(&Manager::command_line(), &change, None).await.unwrap();
    let mut database = app.database.session().await;
    let given_up = database.texts("SELECT MIN(delivery_id) FROM deliveries").await.remove(0);
    database.execute(&format!("UPDATE deliveries SET dead_at = 1 WHERE delivery_id = '{given_up}'")).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let replaced = [
        ("{c}", client.client_id),
        ("{j}", text(&made["jti"])),
        ("{o}", target.operator.operator_id),
        ("{k}", text(&keys["items"][0]["kid"])),
        ("{d}", given_up),
        ("{w}", text(&hook["webhook_id"])),
        ("{h}", text(&sent["items"][0]["delivery_id"])),
    ];
    World { app, replaced }
}

/// Somebody whose session began before they were disabled.
async fn disabled(app: &TestApp) -> Browser<'_> {
    let browser = app.operator("off@acme.example", vec![Role::PlatformAdmin]).await;
    let operators = &app.core.services.operators;
    let cookie = browser.cookie("mintmark").unwrap();
    let id = operators.session(&cookie).await.unwrap().unwrap().operator.operator_id;
    let change = OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    operators.change_operator(&Manager::command_line(), &id, &Precondition::None, &change).await.unwrap();
    browser
}

async fn every_page_gives_each_role_what_it_may_have(engine: Engine) {
    let app = TestApp::start(engine).await;
    let world = world(&app).await;
    let root = world.app.platform_admin().await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let eve = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let mo = app.operator("mo@rival.example", vec![Role::WorkspaceAdmin("rival".to_owned())]).await;
    let (off, nobody) = (disabled(&app).await, Browser::new(&app));
    // The CSRF token of a browser's session, from a page that every operator may open.
    let csrf = async |browser: &Browser<'_>| {
        browser.get("/console/help").await.must_be(200).form("/sign-out").value("csrf").to_owned()
    };
    let tokens = [csrf(&root).await, csrf(&ann).await, csrf(&eve).await, csrf(&mo).await];
    let send = async |browser: &Browser<'_>, method: &str, path: &str, csrf: &str| {
        if method == "GET" {
            browser.get(path).await
        } else {
            let fields = vec![("csrf".to_owned(), csrf.to_owned())];
            browser.send(&HtmlForm { action: path.to_owned(), fields }).await
        }
    };
    for (method, path, expected) in ROWS {
        let at = world.path(path);
        for browser in [&nobody, &off] {
            let location = send(browser, method, &at, &tokens[0]).await.location();
            assert!(location.starts_with("/console/sign-in"), "{method} {at}: {location}");
        }
        // The platform administrator comes last, since a change by them may change what the others get.
        for (who, browser) in [&root, &ann, &eve, &mo].into_iter().enumerate().rev() {
            let page = send(browser, method, &at, &tokens[who]).await;
            assert_eq!(page.status, expected[who], "{method} {at} of {who}: {}", page.text());
            if who == 3 {
                for name in NAMES {
                    assert!(!page.html.contains(name), "{method} {at} names {name}: {}", page.html);
                }
            }
            if who != 0 && page.status == 404 {
                let nothing =
                    send(browser, method, &format!("/console{}", World::nowhere(path)), &tokens[who]).await;
                let plain = |page: &crate::support::Page| page.html.replace(page.header("x-request-id"), "");
                assert_eq!(nothing.status, 404, "{method} {path}");
                assert_eq!(plain(&nothing), plain(&page), "{method} {path}: the two pages differ");
            }
        }
        // Without a CSRF token, even the platform administrator is refused.
        if method == "POST" {
            send(&root, method, &at, "").await.must_be(403);
        }
    }
}

/// Every route of the console is in a row above, or is tested in other files.
async fn the_rows_name_every_route(_engine: Engine) {
    const ELSEWHERE: [&str; 9] = [
        "/assets/",
        "/sign-in",
        "/sign-out",
        "/setup/",
        "/account",
        "/api-clients/",
        "/drafts/",
        "/reveals/",
        "/workspaces/{workspace_id}/api-clients",
    ];
    let source = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let routes = source("src/routes.rs");
    let pages = routes.split("fn console_pages").nth(1).unwrap().split("\n}").next().unwrap();
    let pages = format!("{pages}{}", source("src/routes/pages.rs"));
    let mut seen = 0;
    for route in pages.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        if ELSEWHERE.iter().any(|part| route.starts_with(part)) || matches!(route, "" | "/") {
            continue;
        }
        let pattern: Vec<&str> = route.split('/').collect();
        let fits = |path: &str| {
            let parts: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
            parts.len() == pattern.len()
                && parts.iter().zip(&pattern).all(|(part, wanted)| wanted.starts_with('{') || part == wanted)
        };
        assert!(ROWS.iter().any(|(_, path, _)| fits(path)), "{route} is in no row");
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} routes are read");
}
