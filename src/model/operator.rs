//! Operators: the people who sign in to the console. Their record, roles, ways to sign in ("ways in") and sessions.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::clock::UnixSeconds;
use super::scope::Permission;
use super::workspace::PLATFORM;

/// What an operator may do, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// All permissions in every workspace.
    PlatformAdmin,
    /// Manages what belongs to one workspace, and introspects its tokens.
    WorkspaceAdmin(String),
    /// Reads what belongs to one workspace.
    WorkspaceViewer(String),
}

impl Role {
    /// The name on the wire and in storage.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform_admin",
            Self::WorkspaceAdmin(_) => "workspace_admin",
            Self::WorkspaceViewer(_) => "workspace_viewer",
        }
    }

    /// The workspace that the role is limited to; `None` for a role of the platform.
    pub fn workspace_id(&self) -> Option<&str> {
        match self {
            Self::PlatformAdmin => None,
            Self::WorkspaceAdmin(id) | Self::WorkspaceViewer(id) => Some(id),
        }
    }

    /// The workspace it is stored with.
    pub fn stored_workspace_id(&self) -> &str {
        self.workspace_id().unwrap_or(PLATFORM)
    }

    /// The role of that name in that workspace; `None` if no role has the name.
    pub fn of(name: &str, workspace_id: &str) -> Option<Self> {
        Some(match name {
            "platform_admin" => Self::PlatformAdmin,
            "workspace_admin" => Self::WorkspaceAdmin(workspace_id.to_owned()),
            "workspace_viewer" => Self::WorkspaceViewer(workspace_id.to_owned()),
            _ => return None,
        })
    }

    /// The permissions that it carries.
    pub fn permissions(&self) -> &'static [Permission] {
        match self {
            Self::PlatformAdmin => &Permission::ALL,
            Self::WorkspaceAdmin(_) => &[Permission::Introspect, Permission::Manage],
            Self::WorkspaceViewer(_) => &[Permission::Read],
        }
    }
}

/// Whether an operator may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorStatus {
    /// May sign in.
    Active,
    /// May not sign in; their sessions have ended.
    Disabled,
}

impl OperatorStatus {
    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for OperatorStatus {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == name).ok_or(())
    }
}

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A passkey (WebAuthn).
    Passkey,
    /// A password alone.
    Password,
    /// A password with a code of an authenticator app (RFC 6238).
    Totp,
    /// A password with a recovery code.
    RecoveryCode,
    /// An account at an OpenID Connect provider.
    Oidc,
}

impl Way {
    const ALL: [Self; 5] = [Self::Passkey, Self::Password, Self::Totp, Self::RecoveryCode, Self::Oidc];

    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Password => "password",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::Oidc => "oidc",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Way {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|way| way.as_str() == name).ok_or(())
    }
}

/// An operator as stored, without their credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// UUIDv7.
    pub operator_id: String,
    /// The address they sign in with, as written.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Whether they may sign in.
    pub status: OperatorStatus,
    /// Their roles, sorted.
    pub roles: Vec<Role>,
    /// `oidc:NAME` if the claims of that provider decide the roles; `None` if administrators do.
    pub role_source: Option<String>,
    /// The ways in that are set up, in this order: `passkey`, `password`, `totp`, `oidc`.
    pub sign_in: Vec<Way>,
    /// When they last signed in.
    pub last_sign_in_at: Option<UnixSeconds>,
    /// When the record was created.
    pub created_at: UnixSeconds,
    /// When the record last changed.
    pub updated_at: UnixSeconds,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

impl Operator {
    /// The form in which addresses of operators are compared: no two operators have the same.
    pub fn email_key(email: &str) -> String {
        email.to_ascii_lowercase()
    }

    /// Whether they administer the platform.
    pub fn is_platform_admin(&self) -> bool {
        self.roles.contains(&Role::PlatformAdmin)
    }

    /// Whether they may sign in.
    pub fn is_active(&self) -> bool {
        self.status == OperatorStatus::Active
    }

    /// The name of the sign-in provider that sets the roles; `None` if administrators set them.
    pub fn role_provider(&self) -> Option<&str> {
        let source = self.role_source.as_deref()?;
        Some(source.strip_prefix("oidc:").unwrap_or(source))
    }

    /// Whether a way in is set up that suffices by itself. A password needs a second factor, unless that is optional.
    pub fn has_way_in(&self, second_factor_required: bool) -> bool {
        self.sign_in.iter().any(|way| match way {
            Way::Passkey | Way::Oidc => true,
            Way::Password => !second_factor_required || self.sign_in.contains(&Way::Totp),
            Way::Totp | Way::RecoveryCode => false,
        })
    }
}

/// What a password, and a code of the authenticator app, are checked against. `Debug` prints only the id.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword {
    /// Whose it is.
    pub operator_id: String,
    /// The hash, with its parameters and its salt (a PHC string); `None` without a password.
    pub password_hash: Option<String>,
    /// Whether the operator may sign in.
    pub status: OperatorStatus,
    /// The sealed secret of the authenticator app; `None` until the operator has confirmed it with a code.
    pub totp_secret: Option<Vec<u8>>,
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPassword").field("operator_id", &self.operator_id).finish_non_exhaustive()
    }
}

/// A passkey as stored: a public key, so nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPasskey {
    /// The id that the authenticator gave it.
    pub credential_id: Vec<u8>,
    /// Whose it is.
    pub operator_id: String,
    /// The public key, as a COSE key (RFC 9052 §7).
    pub public_key: Vec<u8>,
    /// Its algorithm (COSE number).
    pub alg: i64,
    /// The last counter seen; 0 for authenticators that do not count.
    pub sign_count: i64,
    /// The name that its owner gave it.
    pub name: String,
    /// When it was added.
    pub created_at: UnixSeconds,
    /// When it was last used.
    pub last_used_at: Option<UnixSeconds>,
}

/// An account at an OpenID Connect provider that is linked to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's issuer identifier.
    pub issuer: String,
    /// The account there (`sub`).
    pub subject: String,
    /// Whose it is.
    pub operator_id: String,
    /// The name of the provider in the settings.
    pub provider: String,
    /// When it was linked.
    pub created_at: UnixSeconds,
    /// When it was last used.
    pub last_used_at: Option<UnixSeconds>,
}

/// A session as stored. The value of its cookie cannot be recovered from it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// SHA-256 of the cookie.
    pub session_hash: Vec<u8>,
    /// UUIDv7; stays when the cookie gets a new value.
    pub session_id: String,
    /// Whose it is.
    pub operator_id: String,
    /// How they signed in.
    pub way: Way,
    /// When they signed in.
    pub created_at: UnixSeconds,
    /// When it was last used, at most a minute late.
    pub last_used_at: UnixSeconds,
    /// When it ends, even if it is in use.
    pub ends_at: UnixSeconds,
    /// When they last proved who they are.
    pub authenticated_at: UnixSeconds,
    /// Where they signed in from.
    pub source_ip: Option<String>,
    /// The `User-Agent` header of the browser.
    pub user_agent: Option<String>,
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// The network that counts as one place to sign in from: IPv4 /24, IPv6 /48.
pub fn network(source: IpAddr) -> String {
    let source = source.to_canonical();
    let bits = if source.is_ipv4() { 24 } else { 48 };
    // A prefix within the length of the address is always accepted.
    IpNet::new(source, bits).map(|network| network.trunc().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_as_written_and_an_administrator_may_also_read() {
        for role in [
            Role::PlatformAdmin,
            Role::WorkspaceAdmin("acme".to_owned()),
            Role::WorkspaceViewer("acme".to_owned()),
        ] {
            assert_eq!(Role::of(role.as_str(), role.stored_workspace_id()), Some(role.clone()));
        }
        assert_eq!(Role::of("admin", "acme"), None);
        assert!(Permission::Read.is_held(Role::WorkspaceAdmin(String::new()).permissions()));
        assert_eq!(Role::WorkspaceViewer(String::new()).permissions(), [Permission::Read]);
    }

    #[test]
    fn a_password_needs_a_second_factor_unless_that_is_optional() {
        let with = |ways: &[Way]| Operator {
            operator_id: String::new(),
            email: String::new(),
            name: String::new(),
            status: OperatorStatus::Active,
            roles: Vec::new(),
            role_source: None,
            sign_in: ways.to_vec(),
            last_sign_in_at: None,
            created_at: 0,
            updated_at: 0,
            version: 1,
        };
        for (ways, required, optional) in [
            (&[][..], false, false),
            (&[Way::Passkey], true, true),
            (&[Way::Oidc], true, true),
            (&[Way::Password], false, true),
            (&[Way::Password, Way::Totp], true, true),
            (&[Way::Totp], false, false),
        ] {
            assert_eq!(with(ways).has_way_in(true), required, "{ways:?}");
            assert_eq!(with(ways).has_way_in(false), optional, "{ways:?}");
        }
    }

    #[test]
    fn a_network_is_24_bits_of_ipv4_or_48_of_ipv6() {
        for (address, expected) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("::ffff:203.0.113.7", "203.0.113.0/24"),
            ("2001:db8:1:2300::1", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(address.parse().unwrap()), expected);
        }
    }
}
