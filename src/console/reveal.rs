//! What is sealed when a client, a secret or a token is created: the page that shows it can be loaded again until the operator
//! confirms it, or ten minutes have passed.

use serde::{Deserialize, Serialize};

use super::form::Form;
use crate::clients::{CreatedClient, CreatedSecret};
use crate::issuance::GeneratedToken;
use crate::model::client::ApiClient;

/// What the page shows. `Debug` is not derived, so that no secret is printed.
#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Shown {
    /// A client with its first secret.
    Client(ShownClient),
    /// One more secret.
    Secret(ShownSecret),
    /// An access token.
    Token(ShownToken),
}

/// A client with its first secret.
#[derive(Serialize, Deserialize)]
pub(super) struct ShownClient {
    pub(super) client_id: String,
    pub(super) label: String,
    pub(super) secret: String,
    /// The kind of ERP, for the instructions.
    pub(super) kind: String,
    /// Whether a person pastes a token into the ERP; else the ERP gets its tokens itself.
    pub(super) pastes: bool,
}

/// One more secret of a client.
#[derive(Serialize, Deserialize)]
pub(super) struct ShownSecret {
    pub(super) client_id: String,
    pub(super) label: String,
    pub(super) secret: String,
    pub(super) last_four: String,
    /// After how many seconds the other secrets end; `None` if they stay, or there were none.
    pub(super) others_end_after: Option<i64>,
}

/// An access token.
#[derive(Serialize, Deserialize)]
pub(super) struct ShownToken {
    pub(super) client_id: String,
    pub(super) label: String,
    pub(super) token: String,
    /// In seconds; `None` for a token that never expires.
    pub(super) expires_in: Option<i64>,
    pub(super) scope: String,
    pub(super) jti: String,
}

impl Shown {
    /// The bytes that are sealed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Strings and numbers, so this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the bytes that [`Shown::bytes`] made.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl ShownClient {
    /// A client that was created by a form.
    pub(super) fn of(created: &CreatedClient, form: &Form) -> Shown {
        let client = &created.record.client;
        Shown::Client(Self {
            client_id: client.client_id.clone(),
            label: client.label.clone(),
            secret: created.secret.expose().to_owned(),
            kind: form.one("erp").to_owned(),
            pastes: form.one("how") == "paste",
        })
    }
}

impl ShownSecret {
    /// A secret that was added to a client.
    pub(super) fn of(client: &ApiClient, created: &CreatedSecret, others_end_after: Option<i64>) -> Shown {
        Shown::Secret(Self {
            client_id: client.client_id.clone(),
            label: client.label.clone(),
            secret: created.secret.expose().to_owned(),
            last_four: created.record.last_four.clone(),
            others_end_after,
        })
    }
}

impl ShownToken {
    /// A token that was generated for a client.
    pub(super) fn of(client: &ApiClient, made: &GeneratedToken) -> Shown {
        Shown::Token(Self {
            client_id: client.client_id.clone(),
            label: client.label.clone(),
            token: made.access_token.clone(),
            expires_in: made.expires_in,
            scope: made.scope.clone(),
            jti: made.jti.clone(),
        })
    }
}
