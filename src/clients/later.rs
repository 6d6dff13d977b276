//! Members of an API client of which this version serves the default only. Anything else is refused with a word that
//! says so: a policy that is accepted and ignored would be worse than none.

use crate::kernel::Error;
use crate::model::invalid::{Broken, Invalid};
use crate::model::member::Member;

/// How a client proves itself (RFC 7591 §2, with our shorter name for the usual one).
const AUTH_METHODS: [&str; 4] =
    ["client_secret", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"];

/// The members. `null` and the default are always accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaterMembers {
    /// Tokens a day; default no limit.
    pub daily_token_limit: Member<i64>,
    /// Whether `DPoP` (RFC 9449) is demanded; default no.
    pub require_dpop: Member<bool>,
    /// How it authenticates; default `client_secret`.
    pub auth_method: Member<String>,
    /// Names of members that only other authentication methods use (`jwks`, the RFC 8705 subjects) and that were
    /// given a value.
    pub of_other_auth_methods: Vec<&'static str>,
}

impl LaterMembers {
    /// Notes values that are no lawful values at all.
    pub(super) fn check(&self, broken: &mut Broken) {
        if self.daily_token_limit.value().is_some_and(|limit| *limit < 1) {
            broken.at("/daily_token_limit", "must be null or at least 1");
        }
        if self.auth_method.value().is_some_and(|method| !AUTH_METHODS.contains(&method.as_str())) {
            broken.at("/auth_method", format!("must be one of {}", AUTH_METHODS.join(", ")));
        }
    }

    /// Refuses lawful values that are not served. Among other broken rules they are one more of them, so that a caller
    /// is told all at once.
    pub(super) fn must_be_served(&self, mut broken: Broken) -> Result<(), Error> {
        let unserved = self.unserved();
        if broken.is_empty() {
            return if unserved.is_empty() { Ok(()) } else { Err(Error::NotSupportedYet(unserved)) };
        }
        for Invalid { pointer, detail } in unserved {
            broken.at(pointer, detail);
        }
        Error::if_broken(broken)
    }

    fn unserved(&self) -> Vec<Invalid> {
        let mut refused = Vec::new();
        let mut refuse = |member: &str, instead: &str| {
            refused.push(Invalid::new(format!("/{member}"), format!("this version serves only {instead}")));
        };
        if self.daily_token_limit.value().is_some() {
            refuse("daily_token_limit", "null");
        }
        if self.require_dpop.value() == Some(&true) {
            refuse("require_dpop", "false");
        }
        if self.auth_method.value().is_some_and(|method| method != "client_secret") {
            refuse("auth_method", "\"client_secret\"");
        }
        for member in &self.of_other_auth_methods {
            refuse(member, "null, since it serves only auth_method \"client_secret\"");
        }
        refused
    }
}
