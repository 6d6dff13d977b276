//! How API clients and their secrets read as JSON.

use serde_json::{Value, json};

use super::{ChangedClient, CreatedClient, CreatedSecret};
use crate::kernel::Representation;
use crate::model::client::ClientRecord;
use crate::model::clock::to_rfc3339;
use crate::model::secret::{ClientSecret, PlainSecret};

impl Representation for ClientRecord {
    fn to_json(&self) -> Value {
        let Self { client, secrets } = self;
        json!({
            "client_id": client.client_id,
            "workspace_id": client.workspace_id,
            "label": client.label,
            "status": client.status(),
            "products": client.products,
            "permissions": client.permissions,
            "token_expiry": client.token_expiry,
            "notification_emails": client.notification_emails,
            "allowed_ips": client.allowed_ips,
            "active_tokens": client.active_tokens.as_str(),
            "replace_grace_seconds": client.active_tokens.grace_seconds(),
            "daily_token_limit": null,
            "auth_method": "client_secret",
            "expires_at": client.expires_at.map(to_rfc3339),
            "signing_alg": client.signing_alg,
            "require_dpop": false,
            "metadata": client.metadata,
            "generation": client.generation,
            "secrets": secrets.iter().map(ClientSecret::to_json).collect::<Vec<_>>(),
            "created_at": to_rfc3339(client.created_at),
            "updated_at": to_rfc3339(client.updated_at),
        })
    }
}

/// With the number of recorded tokens that the change revoked, if it was one that does.
impl Representation for ChangedClient {
    fn to_json(&self) -> Value {
        let mut record = self.record.to_json();
        if let (Some(revoked), Some(members)) = (self.revoked_tokens, record.as_object_mut()) {
            members.insert("revoked_tokens".to_owned(), revoked.into());
        }
        record
    }
}

impl Representation for CreatedClient {
    fn to_json(&self) -> Value {
        with_secret(self.record.to_json(), &self.secret)
    }
}

/// What is ever seen of a secret again.
impl Representation for ClientSecret {
    fn to_json(&self) -> Value {
        json!({
            "secret_id": self.secret_id,
            "last_four": self.last_four,
            "created_at": to_rfc3339(self.created_at),
            "expires_at": self.expires_at.map(to_rfc3339),
            "last_used_at": self.last_used_at.map(to_rfc3339),
        })
    }
}

impl Representation for CreatedSecret {
    fn to_json(&self) -> Value {
        with_secret(self.record.to_json(), &self.secret)
    }
}

fn with_secret(mut record: Value, secret: &PlainSecret) -> Value {
    if let Some(members) = record.as_object_mut() {
        members.insert("client_secret".to_owned(), secret.expose().into());
    }
    record
}
