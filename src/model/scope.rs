//! Scope tokens (RFC 6749 §3.3): product codes, and permissions on Mintmark itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The prefix reserved for permissions; no product code begins with it.
pub const PERMISSION_PREFIX: &str = "mintmark:";

/// What an API client may do on Mintmark itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// Introspect any token within reach.
    #[serde(rename = "mintmark:introspect")]
    Introspect,
    /// Change things; includes reading.
    #[serde(rename = "mintmark:manage")]
    Manage,
    /// Read things.
    #[serde(rename = "mintmark:read")]
    Read,
}

impl Permission {
    /// Every permission, in the order of their names.
    pub const ALL: [Self; 3] = [Self::Introspect, Self::Manage, Self::Read];

    /// The scope token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Introspect => "mintmark:introspect",
            Self::Manage => "mintmark:manage",
            Self::Read => "mintmark:read",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|p| p.as_str() == name).ok_or(())
    }
}

/// Whether `scope` follows the grammar of RFC 6749 §3.3: scope tokens of `%x21 / %x23-5B / %x5D-7E` with single spaces
/// between them. An empty scope is allowed and means that none was requested (RFC 6749 §3.2).
pub fn is_well_formed(scope: &str) -> bool {
    scope.is_empty()
        || scope.split(' ').all(|token| {
            !token.is_empty() && token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        })
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn grammar() {
        for good in ["", "gst", "gst e-invoicing", "!#[]~"] {
            assert!(is_well_formed(good), "{good:?}");
        }
        for bad in [" gst", "gst ", "a  b", "a\tb", "a\nb", "a\"", "a\\", "ä"] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
    }
}
