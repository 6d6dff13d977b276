//! An API client: a confidential OAuth client of a workspace, with its grants and rules.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::clock::UnixSeconds;
use super::expiry::TokenExpiry;
use super::key::Alg;
use super::scope::Permission;
use super::secret::ClientSecret;
use super::status::Slot;

/// An API client as stored, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    /// `cl_…`; also the `sub` of its tokens.
    pub client_id: String,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// Its display name, 1 to 200 characters.
    pub label: String,
    /// Free text about it.
    pub description: Option<String>,
    /// Granted product codes, sorted.
    pub products: Vec<String>,
    /// Granted permissions on Mintmark itself, sorted.
    pub permissions: Vec<Permission>,
    /// How long its tokens are valid.
    pub token_expiry: TokenExpiry,
    /// The recipients of mails about it.
    pub notification_emails: Vec<String>,
    /// Source networks it may authenticate from; empty for any.
    pub allowed_ips: Vec<IpNet>,
    /// Its own signing algorithm; `None` for the platform's.
    pub signing_alg: Option<Alg>,
    /// From this instant on it may no longer authenticate, and none of its tokens is valid.
    pub expires_at: Option<UnixSeconds>,
    /// Free pairs of strings, for the administrator.
    pub metadata: BTreeMap<String, String>,
    /// When it was disabled; `None` while active.
    pub disabled_at: Option<UnixSeconds>,
    /// How many of its recorded tokens are valid at a time.
    pub active_tokens: ActiveTokens,
    /// A counter that is incremented to revoke all its stateless tokens.
    pub generation: i64,
    /// Where the status of its stateless tokens of this generation is published.
    pub slot: Option<Slot>,
    /// When its slots were marked as suspended; `None` if they are not.
    pub slots_suspended_at: Option<UnixSeconds>,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

/// How many recorded tokens of a client are active at a time. With [`ActiveTokens::AtMost`], tokens that an administrator
/// generates do not count and are not revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveTokens {
    /// Any number.
    Many,
    /// One: a new token revokes the one before it, at once or after a grace period.
    Replace {
        /// For how long the replaced token stays valid, in seconds.
        grace_seconds: i64,
    },
    /// At most this many: one more token revokes the oldest at once.
    AtMost(i64),
}

impl ActiveTokens {
    /// The numbers that [`ActiveTokens::AtMost`] may have.
    pub const RANGE: RangeInclusive<i64> = 1..=1_000;

    /// The default. Tokens that never expire would pile up if their client requests one at every call, so for these the
    /// default is a number.
    pub fn default_for(expiry: TokenExpiry) -> Self {
        if expiry.is_never() { Self::AtMost(20) } else { Self::Many }
    }

    /// The grace of `replace`; 0 for the others, which have none.
    pub fn grace_seconds(self) -> i64 {
        match self {
            Self::Many | Self::AtMost(_) => 0,
            Self::Replace { grace_seconds } => grace_seconds,
        }
    }
}

/// `many`, `replace` or the number.
impl fmt::Display for ActiveTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Many => f.write_str("many"),
            Self::Replace { .. } => f.write_str("replace"),
            Self::AtMost(max) => write!(f, "{max}"),
        }
    }
}

impl ApiClient {
    /// Whether it may act at `now`, apart from the state of its workspace.
    pub fn is_active(&self, now: UnixSeconds) -> bool {
        self.disabled_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }

    /// The member `status`: `active` unless it was disabled, also when it has expired.
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
    /// When it last authenticated or got a token.
    pub last_used_at: Option<UnixSeconds>,
}

impl ClientRecord {
    /// The address that it last authenticated from with one of `secrets`, if that is known.
    pub fn last_used_from(&self) -> Option<&str> {
        self.secrets.iter().max_by_key(|secret| secret.last_used_at)?.last_used_from.as_deref()
    }
}

/// What a list, such as that of audit events, shows about an API client that one of its rows refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName {
    /// Its label.
    pub label: String,
    /// Its workspace.
    pub workspace_id: String,
    /// The name of that workspace.
    pub workspace_name: String,
    /// Who is mailed about it.
    pub contacts: Vec<String>,
    /// When it last authenticated or got a token.
    pub last_used_at: Option<UnixSeconds>,
}
