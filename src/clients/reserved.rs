//! Reserved members of an API client: this version supports only their defaults, and refuses every other value. A policy
//! that is accepted and ignored would be worse than none.

use serde::Serialize;

use crate::kernel::{Error, Fields};
use crate::model::field_errors::{FieldError, FieldErrors};
use crate::model::member::Member;

/// The authentication methods that a client may have some day. `client_secret` covers `client_secret_basic` and
/// `client_secret_post` of RFC 7591 §2; `private_key_jwt` is from `OpenID` Connect Core §9, the others are from RFC 8705 §2.
const AUTH_METHODS: [&str; 4] =
    ["client_secret", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"];

/// Members that only other authentication methods use (RFC 7591 §2, RFC 8705 §2.1.2).
const OF_OTHER_AUTH_METHODS: [&str; 7] = [
    "jwks",
    "jwks_uri",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];

/// The reserved members as every API client has them.
#[derive(Debug, Serialize)]
pub(super) struct ReservedMembers {
    daily_token_limit: Option<i64>,
    auth_method: &'static str,
    require_dpop: bool,
}

impl Default for ReservedMembers {
    fn default() -> Self {
        Self { daily_token_limit: None, auth_method: "client_secret", require_dpop: false }
    }
}

/// The reserved members in a change. `null` and the default are always accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReservedChange {
    /// The most tokens that the client gets in a day; default no limit.
    pub daily_token_limit: Member<i64>,
    /// Whether `DPoP` (RFC 9449) is required; default no.
    pub require_dpop: Member<bool>,
    /// How the client authenticates; default `client_secret`.
    pub auth_method: Member<String>,
    /// Names of members of other authentication methods (`jwks`, the RFC 8705 subjects) that have a value.
    pub of_other_auth_methods: Vec<&'static str>,
}

impl ReservedChange {
    /// Reads the members of a JSON object.
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            daily_token_limit: fields.integer("daily_token_limit"),
            require_dpop: fields.boolean("require_dpop"),
            auth_method: fields.string("auth_method"),
            of_other_auth_methods: OF_OTHER_AUTH_METHODS
                .into_iter()
                .filter(|name| fields.is_given(name))
                .collect(),
        }
    }

    /// Reports values that are not valid. [`ReservedChange::must_be_supported`] refuses valid ones that are not supported yet.
    pub(super) fn check(&self, errors: &mut FieldErrors) {
        if self.daily_token_limit.value().is_some_and(|limit| *limit < 1) {
            errors.add("/daily_token_limit", "must be null or at least 1");
        }
        if self.auth_method.value().is_some_and(|method| !AUTH_METHODS.contains(&method.as_str())) {
            errors.add("/auth_method", format!("must be one of {}", AUTH_METHODS.join(", ")));
        }
    }

    /// Refuses valid values that are not supported yet. If there are other `errors`, reports them in the same reply.
    pub(super) fn must_be_supported(&self, mut errors: FieldErrors) -> Result<(), Error> {
        let unsupported = self.unsupported();
        if errors.is_empty() {
            return if unsupported.is_empty() { Ok(()) } else { Err(Error::NotSupportedYet(unsupported)) };
        }
        for FieldError { pointer, detail } in unsupported {
            errors.add(pointer, detail);
        }
        Error::if_any(errors)
    }

    fn unsupported(&self) -> Vec<FieldError> {
        let mut refused = Vec::new();
        let mut refuse = |member: &str, instead: &str| {
            refused
                .push(FieldError::new(format!("/{member}"), format!("this version supports only {instead}")));
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
            refuse(member, "null, since its only auth_method is \"client_secret\"");
        }
        refused
    }
}
