//! API clients and their secrets as JSON: what the management API and the command line show, and what the audit trail
//! records of a change.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::reserved::ReservedMembers;
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::expiry::TokenExpiry;
use crate::model::key::Alg;
use crate::model::scope::Permission;
use crate::model::secret::{ClientSecret, PlainSecret};

/// The members of an API client that an administrator sets.
#[derive(Debug, Serialize)]
pub(super) struct ClientSettings<'a> {
    label: &'a str,
    description: Option<&'a str>,
    status: &'static str,
    products: &'a [String],
    permissions: &'a [Permission],
    token_expiry: TokenExpiry,
    notification_emails: &'a [String],
    allowed_ips: &'a [IpNet],
    active_tokens: ActiveTokens,
    replace_grace_seconds: i64,
    #[serde(with = "rfc3339::option")]
    expires_at: Option<UnixSeconds>,
    signing_alg: Option<Alg>,
    metadata: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a ApiClient> for ClientSettings<'a> {
    fn from(client: &'a ApiClient) -> Self {
        Self {
            label: &client.label,
            description: client.description.as_deref(),
            status: client.status(),
            products: &client.products,
            permissions: &client.permissions,
            token_expiry: client.token_expiry,
            notification_emails: &client.notification_emails,
            allowed_ips: &client.allowed_ips,
            active_tokens: client.active_tokens,
            replace_grace_seconds: client.active_tokens.grace_seconds(),
            expires_at: client.expires_at,
            signing_alg: client.signing_alg,
            metadata: &client.metadata,
        }
    }
}

#[derive(Serialize)]
struct ClientDto<'a> {
    client_id: &'a str,
    workspace_id: &'a str,
    #[serde(flatten)]
    settings: ClientSettings<'a>,
    #[serde(flatten)]
    reserved: ReservedMembers,
    generation: i64,
    secrets: &'a [ClientSecret],
    #[serde(with = "rfc3339::option")]
    last_used_at: Option<UnixSeconds>,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339")]
    updated_at: UnixSeconds,
}

/// As a word or a number.
impl Serialize for ActiveTokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(max) => serializer.serialize_i64(*max),
            word => serializer.collect_str(word),
        }
    }
}

impl Serialize for ClientRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { client, secrets, last_used_at } = self;
        let dto = ClientDto {
            client_id: &client.client_id,
            workspace_id: &client.workspace_id,
            settings: client.into(),
            reserved: ReservedMembers::default(),
            generation: client.generation,
            secrets,
            last_used_at: *last_used_at,
            created_at: client.created_at,
            updated_at: client.updated_at,
        };
        dto.serialize(serializer)
    }
}

#[derive(Serialize)]
struct SecretDto<'a> {
    secret_id: &'a str,
    last_four: &'a str,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339::option")]
    expires_at: Option<UnixSeconds>,
    #[serde(with = "rfc3339::option")]
    last_used_at: Option<UnixSeconds>,
    last_used_from: Option<&'a str>,
    used_last_24h: i64,
}

/// Without the MAC.
impl Serialize for ClientSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = SecretDto {
            secret_id: &self.secret_id,
            last_four: &self.last_four,
            created_at: self.created_at,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            last_used_from: self.last_used_from.as_deref(),
            used_last_24h: self.used_last_24h,
        };
        dto.serialize(serializer)
    }
}

/// Writes a new secret in the clear: for the reply to the request that created it, and nowhere else.
pub(super) fn in_the_clear<S: Serializer>(secret: &PlainSecret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
