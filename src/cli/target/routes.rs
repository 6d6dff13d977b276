//! Where a server answers each use case: method, path, query and body (`openapi.yaml`).

use std::borrow::Cow;

use clap::ValueEnum;
use reqwest::Method;
use serde_json::Value;

use super::use_case::{
    AuditList, ClientList, List, OnClient, OnKey, OnOperator, OnRecord, OnToken, OnWebhook, UseCase,
};
use crate::model::clock::to_rfc3339;
use crate::model::page::Page;

/// A request below `/v1`.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// The segments of the path, not encoded.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(Cow<'static, str>, String)>,
    pub(super) body: Option<Value>,
    /// Whether it may be sent twice: the request changes nothing, or the server honours the `Idempotency-Key` for it.
    pub(super) is_repeatable: bool,
}

impl Route {
    fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        let path = path.map(str::to_owned).to_vec();
        let is_repeatable = matches!(method, Method::POST | Method::GET);
        Self { method, path, query: Vec::new(), body: None, is_repeatable }
    }

    /// A `POST` that creates nothing: the server ignores an `Idempotency-Key` for it.
    fn post_once<const N: usize>(path: [&str; N]) -> Self {
        Self { is_repeatable: false, ..Self::new(Method::POST, path) }
    }

    fn get<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::GET, path)
    }

    fn with(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name.into(), value)));
        self
    }

    fn with_body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// The route of a page of a list.
pub(super) fn of_list(list: &List, page: Page) -> Route {
    let route = match list {
        List::Workspaces => Route::get(["workspaces"]),
        List::Products => Route::get(["products"]),
        List::Clients(wanted) => {
            let ClientList { workspace_id, label, product, status, metadata, sort, .. } = wanted.clone();
            let mut route = match workspace_id {
                Some(id) => Route::get(["workspaces", &id, "api-clients"]),
                None => Route::get(["api-clients"]),
            };
            let pairs = metadata.into_iter().map(|(key, value)| (format!("metadata.{key}").into(), value));
            route.query.extend(pairs);
            route
                .with("label", label)
                .with("product", product)
                .with("status", status)
                .with("secret_expires_before", wanted.secret_expires_before.map(to_rfc3339))
                .with("unused_since", wanted.unused_since.map(to_rfc3339))
                .with("sort", sort.as_ref().map(name_of))
        }
        List::Tokens(wanted) => match wanted.of_client() {
            Some(client_id) => Route::get(["api-clients", client_id, "access-tokens"]),
            None => Route::get(["access-tokens"])
                .with("client_id", wanted.client_id.clone())
                .with("expires_before", wanted.expires_before.map(to_rfc3339))
                .with("never_expires", wanted.never_expires.map(|never| never.to_string()))
                .with("status", Some(name_of(&wanted.status()))),
        },
        List::SigningKeys => Route::get(["signing-keys"]),
        List::Operators => Route::get(["operators"]),
        List::OperatorsOf(email) => Route::get(["operators"]).with("email", Some(email.clone())),
        List::AuditEvents(wanted) => {
            let AuditList { workspace_id, client_id, action, since, until } = wanted.clone();
            Route::get(["audit-events"])
                .with("workspace_id", workspace_id)
                .with("client_id", client_id)
                .with("action", action)
                .with("since", since.map(to_rfc3339))
                .with("until", until.map(to_rfc3339))
        }
        List::Webhooks { workspace_id } => Route::get(["workspaces", workspace_id, "webhooks"]),
        List::Deliveries { webhook_id } => Route::get(["webhooks", webhook_id, "deliveries"]),
        List::Failures { client_id: Some(client_id) } => Route::get(["api-clients", client_id, "failures"]),
        List::Failures { client_id: None } => Route::get(["failures"]),
    };
    route
        .with("limit", Some(page.limit.to_string()))
        .with("count", page.count.then(|| "true".to_owned()))
        .with("cursor", page.after)
}

/// The name of a choice, the same at the command line and in a query.
fn name_of(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// The route of a use case.
pub(super) fn of(use_case: UseCase) -> Route {
    match use_case {
        UseCase::Workspace(on) => of_record("workspaces", on),
        UseCase::Product(on) => of_record("products", on),
        UseCase::Client(on) => of_client(on),
        UseCase::Token(on) => of_token(on),
        UseCase::SigningKey(on) => of_key(on),
        UseCase::Operator(on) => of_operator(on),
        UseCase::Webhook(on) => of_webhook(on),
    }
}

fn of_record(noun: &str, on: OnRecord) -> Route {
    match on {
        OnRecord::Create(body) => Route::new(Method::POST, [noun]).with_body(body),
        OnRecord::Show(id) => Route::get([noun, &id]),
        OnRecord::Change(id, body) => Route::new(Method::PATCH, [noun, &id]).with_body(body),
        OnRecord::Delete(id) => Route::new(Method::DELETE, [noun, &id]),
    }
}

fn of_client(on: OnClient) -> Route {
    const NOUN: &str = "api-clients";
    match on {
        OnClient::Create { workspace_id, body } => {
            Route::new(Method::POST, ["workspaces", &workspace_id, NOUN]).with_body(body)
        }
        OnClient::Show(id) => Route::get([NOUN, &id]),
        OnClient::Change(id, body) => Route::new(Method::PATCH, [NOUN, &id]).with_body(body),
        OnClient::ChangeMany(body) => Route::post_once([NOUN, "batch"]).with_body(body),
        OnClient::Delete(id) => Route::new(Method::DELETE, [NOUN, &id]),
        OnClient::AddSecret(id, body) => Route::new(Method::POST, [NOUN, &id, "secrets"]).with_body(body),
        OnClient::DeleteSecret { client_id, secret_id, force } => {
            Route::new(Method::DELETE, [NOUN, &client_id, "secrets", &secret_id])
                .with("force", force.then(|| "true".to_owned()))
        }
        OnClient::Usage { client_id, since, until } => Route::get([NOUN, &client_id, "usage"])
            .with("since", since.map(to_rfc3339))
            .with("until", until.map(to_rfc3339)),
    }
}

fn of_token(on: OnToken) -> Route {
    const NOUN: &str = "api-clients";
    const LIST: &str = "access-tokens";
    match on {
        OnToken::Create { client_id, body } => {
            Route::new(Method::POST, [NOUN, &client_id, LIST]).with_body(body)
        }
        OnToken::Show { client_id, jti } => Route::get([NOUN, &client_id, LIST, &jti]),
        OnToken::Revoke { client_id, jti } => Route::new(Method::DELETE, [NOUN, &client_id, LIST, &jti]),
        OnToken::RevokeAll { client_id } => Route::new(Method::DELETE, [NOUN, &client_id, LIST]),
    }
}

fn of_operator(on: OnOperator) -> Route {
    const NOUN: &str = "operators";
    match on {
        OnOperator::Create(body) => of_record(NOUN, OnRecord::Create(body)),
        OnOperator::Show(id) => of_record(NOUN, OnRecord::Show(id)),
        OnOperator::Change(id, body) => of_record(NOUN, OnRecord::Change(id, body)),
        OnOperator::Delete(id) => of_record(NOUN, OnRecord::Delete(id)),
        OnOperator::SetupLink(id) => Route::new(Method::POST, [NOUN, &id, "setup-link"]),
    }
}

fn of_webhook(on: OnWebhook) -> Route {
    const NOUN: &str = "webhooks";
    match on {
        OnWebhook::Create { workspace_id, body } => {
            Route::new(Method::POST, ["workspaces", &workspace_id, NOUN]).with_body(body)
        }
        OnWebhook::Show(id) => of_record(NOUN, OnRecord::Show(id)),
        OnWebhook::Change(id, body) => of_record(NOUN, OnRecord::Change(id, body)),
        OnWebhook::Delete(id) => of_record(NOUN, OnRecord::Delete(id)),
        OnWebhook::ReplaceKeys(id) => Route::new(Method::POST, [NOUN, &id, "secrets"]),
        OnWebhook::Test(id) => Route::new(Method::POST, [NOUN, &id, "test"]),
        OnWebhook::Resend { webhook_id, delivery_id } => {
            Route::post_once([NOUN, &webhook_id, "deliveries", &delivery_id, "resend"])
        }
    }
}

fn of_key(on: OnKey) -> Route {
    const NOUN: &str = "signing-keys";
    match on {
        OnKey::Create(body) => Route::new(Method::POST, [NOUN]).with_body(body),
        OnKey::Show(kid) => Route::get([NOUN, &kid]),
        OnKey::Delete { kid, revoke_tokens } => Route::new(Method::DELETE, [NOUN, &kid])
            .with("revoke_tokens", revoke_tokens.then(|| "true".to_owned())),
    }
}
