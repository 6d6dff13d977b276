//! How records read as JSON, the same to callers of the management API and to readers of the command line
//! (`design.md` §4).

use serde_json::{Value, json};

use super::{ChangedClient, CreatedClient, CreatedSecret, KeyRecord};
use crate::model::client::ClientRecord;
use crate::model::clock::to_rfc3339;
use crate::model::product::Product;
use crate::model::secret::{ClientSecret, PlainSecret};
use crate::model::token::RecordedToken;
use crate::model::workspace::Workspace;

/// A record that people read.
pub trait Representation {
    /// All its members. A secret is among them only where it was just made.
    fn to_json(&self) -> Value;
}

impl Representation for Product {
    fn to_json(&self) -> Value {
        json!({
            "product": self.product,
            "name": self.name,
            "audience": self.audience,
            "max_token_lifetime_seconds": self.max_token_lifetime_seconds,
            "never_expires_allowed": self.never_expires_allowed,
            "created_at": to_rfc3339(self.created_at),
            "updated_at": to_rfc3339(self.updated_at),
        })
    }
}

impl Representation for Workspace {
    fn to_json(&self) -> Value {
        json!({
            "workspace_id": self.workspace_id,
            "name": self.name,
            "status": self.status(),
            "never_expires_allowed": self.never_expires_allowed,
            "products_allowed": self.products_allowed,
            "created_at": to_rfc3339(self.created_at),
            "updated_at": to_rfc3339(self.updated_at),
        })
    }
}

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

/// The token itself is not on record.
impl Representation for RecordedToken {
    fn to_json(&self) -> Value {
        json!({
            "jti": self.jti,
            "scope": self.scope,
            "products": self.products.split_ascii_whitespace().collect::<Vec<_>>(),
            "kid": self.kid,
            "issued_at": to_rfc3339(self.issued_at),
            "expires_at": self.expires_at.map(to_rfc3339),
            "revoked_at": self.revoked_at.map(to_rfc3339),
            "last_introspected_at": self.last_introspected_at.map(to_rfc3339),
            "issued_by": self.issued_by,
        })
    }
}

/// The private half is no part of it.
impl Representation for KeyRecord {
    fn to_json(&self) -> Value {
        let key = &self.key;
        json!({
            "kid": key.kid,
            "alg": key.alg.as_str(),
            "use_for": key.use_for.as_str(),
            "phase": key.phase.as_str(),
            "created_at": to_rfc3339(key.created_at),
            "activates_at": to_rfc3339(key.activates_at),
            "live_tokens": self.live_tokens,
        })
    }
}

fn with_secret(mut record: Value, secret: &PlainSecret) -> Value {
    if let Some(members) = record.as_object_mut() {
        members.insert("client_secret".to_owned(), secret.expose().into());
    }
    record
}
