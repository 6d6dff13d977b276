//! A signing key as stored: algorithm, class, phase, instants (RFC 7517, RFC 7518).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clock::UnixSeconds;

/// The signature algorithms a token may carry (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Alg {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
}

impl Alg {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::ES256, Self::EdDSA, Self::RS256, Self::PS256];

    /// The JOSE name, as in a JWT header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
        }
    }

    /// Whether keys of this algorithm are RSA keys.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::RS256 | Self::PS256)
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Alg {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == name).ok_or(())
    }
}

/// Which tokens a key signs. Never-expiring tokens have separate keys, because these keys must stay published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseFor {
    /// Tokens that expire.
    Expiring,
    /// Tokens that never expire.
    NeverExpiring,
}

impl UseFor {
    /// Both classes.
    pub const ALL: [Self; 2] = [Self::Expiring, Self::NeverExpiring];

    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "expiring",
            Self::NeverExpiring => "never_expiring",
        }
    }
}

impl FromStr for UseFor {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|class| class.as_str() == name).ok_or(())
    }
}

/// The phase of a key. A key passes through the phases in this order, but a key that is deleted is gone at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Published, but not signing yet.
    Pending,
    /// Published and signing.
    Active,
    /// Published only to verify tokens; the private key is destroyed.
    Retiring,
    /// No longer published.
    Gone,
}

impl Phase {
    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Gone => "gone",
        }
    }
}

impl FromStr for Phase {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Pending, Self::Active, Self::Retiring, Self::Gone]
            .into_iter()
            .find(|p| p.as_str() == name)
            .ok_or(())
    }
}

/// A signing key as stored. The private key is sealed, and is removed from this record when the key stops signing.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// RFC 7638 thumbprint (SHA-256, base64url), the `kid`.
    pub kid: String,
    /// The one algorithm the key is used with.
    pub alg: Alg,
    /// The class of tokens it signs.
    pub use_for: UseFor,
    /// Its phase.
    pub phase: Phase,
    /// The public JWK (RFC 7517) as JSON text, with `kid`, `alg` and `use`, without private members.
    pub public_jwk: String,
    /// The sealed PKCS#8 private key; `None` once the key no longer signs.
    pub sealed_private: Option<Vec<u8>>,
    /// When it was generated or imported.
    pub created_at: UnixSeconds,
    /// When it may start to sign.
    pub activates_at: UnixSeconds,
    /// When it stopped signing.
    pub retired_at: Option<UnixSeconds>,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("alg", &self.alg)
            .field("use_for", &self.use_for)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
