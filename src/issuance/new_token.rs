//! What an administrator may request for a generated token, and the rules for each member.

use serde_json::Value;

use super::GrantError;
use super::grant;
use crate::clients::{Credentials, read_token_expiry};
use crate::kernel::{Error, Fields};
use crate::model::expiry::{LIFETIME_RANGE, TokenExpiry};
use crate::model::field_errors::FieldErrors;
use crate::model::grant::Grant;

/// A request for a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewToken {
    /// Scope tokens, space-separated; `None` for all that are granted to the client.
    pub scope: Option<String>,
    /// The lifetime of the token; `None` for that of the client's tokens.
    pub token_expiry: Option<TokenExpiry>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

impl NewToken {
    /// Reads the body of a request.
    pub(crate) fn read(body: &Value) -> Self {
        let (wanted, parse_errors) = Fields::read(body, |fields| Self {
            scope: fields.string("scope").value().cloned(),
            token_expiry: read_token_expiry(fields).value().copied(),
            parse_errors: FieldErrors::default(),
        });
        Self { parse_errors, ..wanted }
    }

    /// Checks every member against the client's grant.
    pub(super) fn check(&self, client: &Credentials) -> Result<(), Error> {
        let mut errors = self.parse_errors.clone();
        let scope = self.scope.as_deref().unwrap_or_default();
        let grant = match grant::select(&client.offer, scope, &[]) {
            Ok(grant) => Some(grant),
            Err(GrantError::MalformedScope) => {
                errors.add("/scope", "must be scope tokens with spaces between them");
                None
            }
            Err(_) => {
                errors.add(
                    "/scope",
                    match &*client.offer.whole.scope {
                        "" => "nothing is granted to the API client: give it products first".to_owned(),
                        granted => format!("must be scope tokens granted to the API client: {granted}"),
                    },
                );
                None
            }
        };
        match self.token_expiry {
            Some(expiry) => check_expiry(expiry, client, grant.as_deref(), &mut errors),
            None if client.token_expiry.is_never()
                && grant.is_some_and(|grant| !may_never_expire(client, &grant)) =>
            {
                errors.add(
                    "/token_expiry",
                    "is required: the API client's own token_expiry is never, which its workspace or a product of this token no longer allows",
                );
            }
            None => {}
        }
        Error::if_any(errors)
    }
}

/// Whether a client whose own `token_expiry` is `never` may have a token of this grant without naming an expiry. With a
/// permission the lifetime is finite in any case, so that the workspace and the products need not allow `never`.
fn may_never_expire(client: &Credentials, grant: &Grant) -> bool {
    grant.has_permission || (client.workspace_never_expires_allowed && grant.never_expires_allowed)
}

/// Checks that the requested expiry exceeds neither the client's own `token_expiry` nor the cap of the grant, and that `never`
/// is still allowed. An expiry that is too long is refused, not shortened.
fn check_expiry(expiry: TokenExpiry, client: &Credentials, grant: Option<&Grant>, errors: &mut FieldErrors) {
    let own = client.token_expiry.seconds();
    let (min, max) = (*LIFETIME_RANGE.start(), own.unwrap_or(*LIFETIME_RANGE.end()));
    let cap = grant.and_then(|grant| grant.lifetime_max);
    match expiry {
        TokenExpiry::After { seconds } if !(min..=max).contains(&seconds) => {
            let whose = if own.is_some() { ", the longest lifetime of the API client's tokens" } else { "" };
            errors.add("/token_expiry/seconds", format!("must be from {min} to {max}{whose}"));
        }
        TokenExpiry::After { seconds } => {
            if let Some(cap) = cap.filter(|cap| seconds > *cap) {
                errors.add(
                    "/token_expiry/seconds",
                    format!("must be at most {cap} for the scope of this token"),
                );
            }
        }
        TokenExpiry::Never {} if !client.token_expiry.is_never() => {
            errors
                .add("/token_expiry/mode", "may be \"never\" only if the API client's token_expiry is never");
        }
        TokenExpiry::Never {} => {
            let refused = grant
                .is_some_and(|grant| !grant.never_expires_allowed || !client.workspace_never_expires_allowed);
            if refused {
                errors.add(
                    "/token_expiry/mode",
                    "must be \"after\": the workspace or a scope of this token does not allow never-expiring tokens",
                );
            } else if let Some(cap) = cap {
                errors.add(
                    "/token_expiry/mode",
                    format!("must be \"after\", with at most {cap} seconds, for the scope of this token"),
                );
            }
        }
    }
}
