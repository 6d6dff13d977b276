//! A token that a client sends to have it introspected or revoked (RFC 7662 §2.1, RFC 7009 §2.1).

use std::borrow::Cow;
use std::future::Future;

use super::authenticate::Form;
use super::error::OAuthError;
use super::form::Once;
use super::json_form::Member;
use crate::kernel::Error;
use crate::ledger::{Confirmed, Ledger};

/// The parameters of introspection and revocation. `token_type_hint` may have any value, and nothing depends on it: only access
/// tokens can be introspected or revoked.
#[derive(Debug, Default)]
pub struct PresentedToken {
    token: Once,
    hint: Once,
}

impl PresentedToken {
    /// The token; [`Form::complete`] has checked that it was sent.
    pub(super) fn token(&self) -> &str {
        self.token.get().unwrap_or_default()
    }
}

impl Form for PresentedToken {
    type Confirmation = Confirmed;

    fn confirm(ledger: &Ledger) -> impl Future<Output = Result<Confirmed, Error>> {
        ledger.confirm()
    }

    fn take(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), OAuthError> {
        match name {
            "token" => self.token.put(value, "token was sent twice: send it once"),
            "token_type_hint" => self.hint.put(value, "token_type_hint was sent twice: send it once"),
            _ => Ok(()),
        }
    }

    fn member(name: &str) -> Option<Member> {
        match name {
            "token" => Some(Member::string("token must be a string")),
            "token_type_hint" => Some(Member::string("token_type_hint must be a string")),
            _ => None,
        }
    }

    fn complete(&self) -> Result<(), OAuthError> {
        match self.token.get() {
            Some(_) => Ok(()),
            None => Err(OAuthError::InvalidRequest("token is missing: send the token in this parameter")),
        }
    }
}
