//! `POST /oauth2/token`: exchanges client credentials for an access token (RFC 6749 §4.4, RFC 8707).

use std::borrow::Cow;
use std::io::Write as _;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpResponse, ResponseError as _};

use super::authenticate::{Authenticated, Form};
use super::door::Door;
use super::error::{OAuthError, no_store};
use super::form::Once;
use super::json_form::Member;
use crate::issuance::{GrantError, IssueError, Issued, TokenRequest};
use crate::kernel::Error;
use crate::ledger::Ledger;
use crate::model::refusal::Refusal;
use crate::telemetry::metrics::TokenOutcome;

/// The parameters of the token endpoint.
#[derive(Debug, Default)]
pub struct TokenForm {
    grant_type: Option<GrantType>,
    scope: Once,
    resources: Vec<String>,
}

/// The value of `grant_type`, as far as the endpoint distinguishes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrantType {
    /// Sent without a value, which counts as absent (RFC 6749 §3.2).
    Empty,
    ClientCredentials,
    Other,
}

impl Form for TokenForm {
    type Confirmation = ();

    fn confirm(ledger: &Ledger) -> impl Future<Output = Result<(), Error>> {
        ledger.confirm_to_issue()
    }

    fn take(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), OAuthError> {
        match name {
            "grant_type" if self.grant_type.is_some() => {
                Err(OAuthError::InvalidRequest("grant_type was sent twice: send it once"))
            }
            "grant_type" => {
                self.grant_type = Some(match &*value {
                    "" => GrantType::Empty,
                    "client_credentials" => GrantType::ClientCredentials,
                    _ => GrantType::Other,
                });
                Ok(())
            }
            "scope" => {
                self.scope.put(value, "scope was sent twice: send one scope with a space between its names")
            }
            // The only known parameter that may be repeated (RFC 8707 §2).
            "resource" if !value.is_empty() => {
                self.resources.push(value.into_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn member(name: &str) -> Option<Member> {
        match name {
            "grant_type" => Some(Member::string("grant_type must be a string")),
            "scope" => Some(Member::string(
                "scope must be a string: the names with a space between them, not a list",
            )),
            "resource" => {
                Some(Member { must_be: "resource must be a string or a list of strings", repeats: true })
            }
            _ => None,
        }
    }

    fn complete(&self) -> Result<(), OAuthError> {
        match self.grant_type {
            Some(GrantType::ClientCredentials | GrantType::Other) => Ok(()),
            None | Some(GrantType::Empty) => {
                Err(OAuthError::InvalidRequest("grant_type is missing: send grant_type=client_credentials"))
            }
        }
    }
}

/// Answers a token request.
#[expect(clippy::manual_async_fn, reason = "the future of an async fn holds its arguments twice")]
pub fn post(
    caller: Result<Authenticated<TokenForm>, OAuthError>,
    door: Data<Door>,
) -> impl Future<Output = HttpResponse> {
    async move {
        let response = match &caller {
            Ok(caller) => {
                let issued = issue(caller, &door).await;
                issued.and_then(|issued| success(&issued, door.never_expires_in))
            }
            Err(error) => Err(error.clone()),
        };
        match response {
            Ok(response) => {
                door.metrics.token(TokenOutcome::Issued);
                response
            }
            Err(error) => {
                door.metrics.token(outcome_of(&error));
                error.error_response()
            }
        }
    }
}

async fn issue<'a>(caller: &'a Authenticated<TokenForm>, door: &Door) -> Result<Issued<'a>, OAuthError> {
    let form = caller.form();
    if form.grant_type != Some(GrantType::ClientCredentials) {
        caller.note_refusal(door, Refusal::UnsupportedGrantType);
        return Err(OAuthError::UnsupportedGrantType);
    }
    let request = TokenRequest {
        scope: form.scope.get().unwrap_or_default(),
        resources: &form.resources,
        source: caller.source(),
    };
    let outcome = door.services.issuer.issue(caller.credentials(), caller.proof(), request).await;
    outcome.map_err(|error| {
        if let Some(reason) = reason_of(&error) {
            caller.note_refusal(door, reason);
        }
        answer_to(error)
    })
}

/// Why a client is refused a token; `None` if the service could not answer.
fn reason_of(error: &IssueError) -> Option<Refusal> {
    Some(match error {
        IssueError::Grant(GrantError::MalformedScope) => Refusal::MalformedScope,
        IssueError::Grant(GrantError::ScopeNotGranted(_)) => Refusal::ScopeNotGranted,
        IssueError::Grant(GrantError::TargetNotGranted) => Refusal::TargetNotGranted,
        IssueError::Grant(GrantError::NeverExpiresNotAllowed) => Refusal::NeverExpiresNotAllowed,
        IssueError::ClientRefused(reason) => *reason,
        IssueError::ChangedAgain | IssueError::NoKey | IssueError::NotSigned | IssueError::Unavailable(_) => {
            return None;
        }
    })
}

fn answer_to(error: IssueError) -> OAuthError {
    match error {
        IssueError::Grant(GrantError::MalformedScope) => {
            OAuthError::InvalidScope("scope is malformed: send scope names with spaces between them")
        }
        IssueError::Grant(GrantError::ScopeNotGranted(names)) => OAuthError::ScopeNotGranted(names),
        IssueError::Grant(GrantError::TargetNotGranted) => OAuthError::InvalidTarget,
        IssueError::Grant(GrantError::NeverExpiresNotAllowed) => OAuthError::UnauthorizedClient(
            "tokens that never expire are no longer allowed for this client: an operator must give it a finite token_expiry",
        ),
        IssueError::ClientRefused(_) => OAuthError::InvalidClient,
        IssueError::ChangedAgain => OAuthError::ChangedAgain,
        IssueError::NoKey => {
            tracing::error!(
                failure = "no_key",
                "no active key of the client's algorithm signs this class of tokens: create or import one, see \
                 `mintmark keys --help`"
            );
            OAuthError::Unavailable
        }
        // The error is in the log already.
        IssueError::NotSigned => OAuthError::Unavailable,
        IssueError::Unavailable(error) => OAuthError::unavailable(&error),
    }
}

fn success(issued: &Issued<'_>, never_expires_in: Option<i64>) -> Result<HttpResponse, OAuthError> {
    let body = reply(issued, never_expires_in).map_err(|error| {
        tracing::error!(%error, "a token response could not be written");
        OAuthError::Unavailable
    })?;
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    Ok(response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(body))
}

/// The body of the reply (RFC 6749 §5.1). Many clients keep a token for `expires_in` seconds. For a token that never expires,
/// this member is `never_expires_in`; `None` leaves it out.
fn reply(issued: &Issued<'_>, never_expires_in: Option<i64>) -> std::io::Result<Vec<u8>> {
    let Issued { access_token, expires_in, grant } = issued;
    // The names and the number take less than 128 bytes.
    let mut body = Vec::with_capacity(access_token.len() + grant.scope.len() + 128);
    // A JWT has only base64url and dots, so it is not searched for characters to escape.
    write!(body, r#"{{"access_token":"{access_token}","token_type":"Bearer","#)?;
    if let Some(expires_in) = expires_in.or(never_expires_in) {
        write!(body, r#""expires_in":{expires_in},"#)?;
    }
    body.extend_from_slice(br#""scope":"#);
    serde_json::to_writer(&mut body, &*grant.scope)?;
    body.push(b'}');
    Ok(body)
}

fn outcome_of(error: &OAuthError) -> TokenOutcome {
    match error {
        OAuthError::InvalidClient | OAuthError::MalformedCredentials(_) => TokenOutcome::InvalidClient,
        OAuthError::UnsupportedGrantType => TokenOutcome::UnsupportedGrantType,
        OAuthError::UnauthorizedClient(_) => TokenOutcome::UnauthorizedClient,
        OAuthError::InvalidScope(_) | OAuthError::ScopeNotGranted(_) => TokenOutcome::InvalidScope,
        OAuthError::InvalidTarget => TokenOutcome::InvalidTarget,
        OAuthError::TooManyFailures(_) => TokenOutcome::Throttled,
        OAuthError::Unavailable | OAuthError::ChangedAgain => TokenOutcome::Unavailable,
        OAuthError::InvalidRequest(_)
        | OAuthError::UnsupportedTokenType
        | OAuthError::MethodNotAllowed
        | OAuthError::TooSlow
        | OAuthError::TooLarge
        | OAuthError::EncodedBody => TokenOutcome::InvalidRequest,
    }
}
