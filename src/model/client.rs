//! An API client: a confidential OAuth client of a workspace, and what it is allowed.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::clock::UnixSeconds;
use super::expiry::TokenExpiry;
use super::key::Alg;
use super::scope::Permission;
use super::secret::ClientSecret;

/// An API client as stored, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    /// `cl_…`; also the `sub` of its tokens.
    pub client_id: String,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// What people call it, 1 to 200 characters.
    pub label: String,
    /// Granted product codes, sorted.
    pub products: Vec<String>,
    /// Granted permissions on Mintmark itself, sorted.
    pub permissions: Vec<Permission>,
    /// How long its tokens live.
    pub token_expiry: TokenExpiry,
    /// Who is mailed about it.
    pub notification_emails: Vec<String>,
    /// Source networks it may authenticate from; empty for any.
    pub allowed_ips: Vec<IpNet>,
    /// Its own signing algorithm; `None` for the platform's.
    pub signing_alg: Option<Alg>,
    /// From this instant on it may no longer authenticate and no token of it lives.
    pub expires_at: Option<UnixSeconds>,
    /// Free string pairs of the administrator's.
    pub metadata: BTreeMap<String, String>,
    /// When it was disabled; `None` while active.
    pub disabled_at: Option<UnixSeconds>,
    /// Raised to kill all its tokens at once.
    pub generation: i64,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

impl ApiClient {
    /// `active` or `disabled`, as on the wire.
    pub fn status(&self) -> &'static str {
        if self.disabled_at.is_none() { "active" } else { "disabled" }
    }
}

/// An API client with its secrets, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The client.
    pub client: ApiClient,
    /// Its secrets that have not expired, oldest first.
    pub secrets: Vec<ClientSecret>,
}
