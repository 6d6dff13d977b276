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
    /// Change objects; includes reading.
    #[serde(rename = "mintmark:manage")]
    Manage,
    /// Read objects.
    #[serde(rename = "mintmark:read")]
    Read,
}

impl Permission {
    /// Every permission, in the order of their names.
    pub const ALL: [Self; 3] = [Self::Introspect, Self::Manage, Self::Read];

    /// Whether a holder of the permissions `held` holds this one: `mintmark:manage` includes `mintmark:read`.
    pub fn is_held(self, held: &[Self]) -> bool {
        held.contains(&self) || (self == Self::Read && held.contains(&Self::Manage))
    }

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

/// The scope tokens of `scope`. Extra spaces are ignored. If there are no tokens, no scope was requested (RFC 6749 §3.2).
pub fn tokens(scope: &str) -> impl Iterator<Item = &str> + Clone {
    scope.split(' ').filter(|token| !token.is_empty())
}

/// Whether `scope` has only scope tokens as RFC 6749 §3.3 writes them (`%x21 / %x23-5B / %x5D-7E`), with spaces between.
pub fn is_well_formed(scope: &str) -> bool {
    scope.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::{is_well_formed, tokens};

    #[test]
    fn a_scope_has_only_the_characters_of_the_grammar() {
        for good in ["", "gst", "gst e-invoicing", "!#[]~", " gst", "gst ", "a  b"] {
            assert!(is_well_formed(good), "{good:?}");
        }
        for bad in ["a\tb", "a\nb", "a\"", "a\\", "ä"] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
    }

    #[test]
    fn extra_spaces_are_ignored() {
        for (scope, expected) in
            [("", &[][..]), (" ", &[]), ("a", &["a"]), ("  b  a ", &["b", "a"]), ("a b", &["a", "b"])]
        {
            assert_eq!(tokens(scope).collect::<Vec<_>>(), expected, "{scope:?}");
        }
    }
}
