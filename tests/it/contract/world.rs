//! An app with one record of every kind, and requests to it for each operation.

use std::cell::Cell;
use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Administrator, Credentials, Engine, Operation, Reply, TestApp, Wire};

/// A value for each parameter of a path.
pub(super) type Ids = BTreeMap<&'static str, String>;

/// For each parameter of a path, a value that names no record.
pub(super) fn nothing() -> Ids {
    Ids::from([
        ("product", "nothing".to_owned()),
        ("workspace_id", "nothing".to_owned()),
        ("client_id", format!("cl_{}", "0".repeat(22))),
        ("secret_id", "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e05".to_owned()),
        ("kid", "A".repeat(43)),
        ("jti", "A".repeat(22)),
        ("operator_id", "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e07".to_owned()),
        ("webhook_id", "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e09".to_owned()),
        ("delivery_id", "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e0b".to_owned()),
        ("file", "nothing".to_owned()),
        ("list", "999".to_owned()),
        ("seq", "999999".to_owned()),
    ])
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The URL of the webhooks. No server listens there.
pub(super) const HOOK: &str = "https://hooks.acme.example/mintmark";

/// The app, its callers, and the ids of its records.
pub(super) struct World {
    pub(super) app: TestApp,
    /// The ids of one record of every kind.
    pub(super) ids: Ids,
    /// The API client among these records.
    pub(super) erp: Credentials,
    /// A token that may manage and introspect.
    pub(super) manage: String,
    /// A token that may introspect, and neither read nor change anything in `/v1`.
    pub(super) powerless: String,
    /// The API client with these two tokens.
    pub(super) manager: Credentials,
    /// How many names [`World::new_name`] has made.
    made: Cell<u32>,
}

impl World {
    /// Starts an app with these settings.
    pub(super) async fn with(settings: &str) -> Self {
        let app = TestApp::start_with(Engine::Sqlite, settings).await;
        let manager = app.bootstrap().await;
        let manage = app.access_token(&manager, &[("scope", "mintmark:manage mintmark:introspect")]).await;
        let powerless = app.access_token(&manager, &[("scope", "mintmark:introspect")]).await;
        let admin = Administrator { app: &app, token: manage.clone(), client: manager.clone() };
        admin.product("e-invoicing", json!({"audience": "https://api.example.com"})).await;
        admin.product("gst", json!({})).await;
        admin.workspace("acme-in", json!({})).await;
        let (erp, client) = admin.client("acme-in", json!({"products": ["e-invoicing", "gst"]})).await;
        let token =
            admin.create(&format!("/v1/api-clients/{}/access-tokens", erp.client_id), &json!({})).await;
        // Two records of each kind, so that every list has a second page.
        admin.client("acme-in", json!({"label": "Spare", "products": ["gst"]})).await;
        for more in ["access-tokens", "secrets"] {
            admin.create(&format!("/v1/api-clients/{}/{more}", erp.client_id), &json!({})).await;
        }
        for name in ["first", "second"] {
            admin.create("/v1/operators", &person(name)).await;
        }
        for _ in 0..2 {
            admin.create("/v1/workspaces/acme-in/webhooks", &json!({"url": HOOK})).await;
        }
        let webhooks = Reply::of(admin.get("/v1/workspaces/acme-in/webhooks").await).await.json();
        let hook = text_of(&webhooks["items"][0]["webhook_id"]);
        // There are two deliveries: about the creation of this webhook, and about that of the other one.
        let deliveries = Reply::of(admin.get(&format!("/v1/webhooks/{hook}/deliveries")).await).await.json();
        let operators = Reply::of(admin.get("/v1/operators").await).await.json();
        // Two refused requests, so that the lists of failures have a second page too.
        for _ in 0..2 {
            assert_eq!(app.token(&erp, &[("scope", "nothing")]).await.status(), 400);
        }
        let keys = Reply::of(admin.get("/v1/signing-keys").await).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ids = Ids::from([
            ("product", "gst".to_owned()),
            ("workspace_id", "acme-in".to_owned()),
            ("client_id", erp.client_id.clone()),
            ("secret_id", text(&client["secrets"][0]["secret_id"])),
            ("kid", text(&keys["items"][0]["kid"])),
            ("jti", text(&token["jti"])),
            ("operator_id", text(&operators["items"][0]["operator_id"])),
            ("webhook_id", text(&webhooks["items"][0]["webhook_id"])),
            ("delivery_id", text(&deliveries["items"][0]["delivery_id"])),
            ("file", "docs.css".to_owned()),
            // The first status list. It is for stateless tokens, and exists since the first client was created.
            ("list", "1".to_owned()),
            ("seq", "0".to_owned()),
        ]);
        app.core.services.ledger.keep_audit_tree().await.unwrap();
        Self { app, ids, erp, manage, powerless, manager, made: Cell::default() }
    }

    /// An administrator with the management client and its token.
    pub(super) fn admin(&self) -> Administrator<'_> {
        Administrator { app: &self.app, token: self.manage.clone(), client: self.manager.clone() }
    }

    /// A name that is not used yet.
    pub(super) fn new_name(&self) -> String {
        self.made.set(self.made.get() + 1);
        format!("new-{}", self.made.get())
    }

    /// A new record of every kind, on which nothing depends.
    pub(super) async fn fresh(&self) -> Ids {
        let admin = self.admin();
        let (product, workspace_id) = (self.new_name(), self.new_name());
        admin.product(&product, json!({})).await;
        admin.workspace(&workspace_id, json!({})).await;
        let (client, record) = admin.client("acme-in", json!({"products": ["gst"]})).await;
        let secret_id = record["secrets"][0]["secret_id"].as_str().unwrap().to_owned();
        let token =
            admin.create(&format!("/v1/api-clients/{}/access-tokens", client.client_id), &json!({})).await;
        let operator = admin.create("/v1/operators", &person(&self.new_name())).await;
        let webhooks = format!("/v1/workspaces/{workspace_id}/webhooks");
        let webhook = admin.create(&webhooks, &json!({"url": HOOK})).await;
        let deliveries = format!("/v1/webhooks/{}/deliveries", text_of(&webhook["webhook_id"]));
        let deliveries = Reply::of(admin.get(&deliveries).await).await.json();
        let mut ids = self.ids.clone();
        ids.extend([
            ("operator_id", operator["operator_id"].as_str().unwrap().to_owned()),
            ("jti", token["jti"].as_str().unwrap().to_owned()),
            ("webhook_id", text_of(&webhook["webhook_id"])),
            ("delivery_id", text_of(&deliveries["items"][0]["delivery_id"])),
            ("product", product),
            ("workspace_id", workspace_id),
            ("client_id", client.client_id),
            ("secret_id", secret_id),
        ]);
        ids
    }

    /// A request to a path of an operation with the access token `token`, without a body.
    pub(super) fn ask_at(&self, token: Option<&str>, operation: &Operation, path: &str) -> RequestBuilder {
        let request = self.app.request(operation.method.clone(), path);
        match token {
            Some(token) if operation.is_for_bearers => request.bearer_auth(token),
            _ => request,
        }
    }

    /// A request for an operation with the token that may manage and introspect.
    pub(super) fn ask(&self, operation: &Operation, ids: &Ids) -> RequestBuilder {
        self.ask_at(Some(&self.manage), operation, &path(operation, ids))
    }

    /// A request for an operation with a JSON body.
    pub(super) fn send(&self, operation: &Operation, ids: &Ids, body: &Value) -> RequestBuilder {
        let (media_type, _) = operation.takes.iter().next().unwrap();
        self.ask(operation, ids).header("content-type", media_type).body(body.to_string())
    }

    /// A valid request: with the first example of a body, if the operation takes one.
    pub(super) fn valid(&self, operation: &Operation, ids: &Ids) -> RequestBuilder {
        match operation.examples().first() {
            Some((_, body)) => self.send(operation, ids, body),
            None => self.ask(operation, ids),
        }
    }

    /// The reply to a request that announces a body of `length` bytes and does not send it.
    pub(super) async fn promise_body(&self, operation: &Operation, length: usize) -> Reply {
        let (method, path) = (&operation.method, path(operation, &self.ids));
        let (media_type, _) = operation.takes.iter().next().unwrap();
        let mut wire = Wire::to(&self.app).await;
        let token = if operation.is_for_bearers {
            format!("Authorization: Bearer {}\r\n", self.manage)
        } else {
            String::new()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: mintmark\r\n{token}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        wire.send(head).await;
        wire.reply().await
    }

    /// A method that no path has, on the path of an operation.
    pub(super) fn other_method(&self, operation: &Operation) -> RequestBuilder {
        self.app.request(Method::PUT, &path(operation, &self.ids))
    }

    /// Closes the connections to the database, and moves the clock until all caches are too old to be used. Status lists may be
    /// used the longest: a minute.
    pub(super) async fn lose_storage(&self) {
        self.app.core.services.close().await;
        self.app.clock.advance(61);
    }
}

/// The body of a request that creates an operator of this name.
fn person(name: &str) -> Value {
    let roles = json!([{"role": "workspace_viewer", "workspace_id": "acme-in"}]);
    json!({"email": format!("{name}@acme.example"), "name": name, "roles": roles})
}

/// The path of an operation on the records with these ids.
pub(super) fn path(operation: &Operation, ids: &Ids) -> String {
    operation.path_with(|name| ids[name].clone())
}
