//! Tokens that an administrator generates for an API client (`docs/tokens.md`). By the rules of the token endpoint, and no
//! further than the administrator itself may go; always recorded, so that each can be listed and revoked.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{IssueError, Issuer, Refused, TokenRequest, Wanted, grant};
use crate::clients::Credentials;
use crate::kernel::{Caller, Error};
use crate::ledger::SaveReply;
use crate::model::expiry::{LIFETIME_RANGE, TokenExpiry};
use crate::model::grant::Grant;
use crate::model::invalid::Broken;
use crate::model::scope::Permission;
use crate::model::token::RecordedToken;

/// What an administrator wants of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewToken {
    /// Scope tokens, space-separated; `None` for everything granted to the client.
    pub scope: Option<String>,
    /// How long it lives; `None` for as long as the client's tokens do.
    pub token_expiry: Option<TokenExpiry>,
    /// What of the request could not be read as what it should be; told together with what breaks a rule.
    pub unread: Broken,
}

/// A token as it was just generated. The only time it is seen; `Debug` does not print it.
pub struct GeneratedToken {
    /// The token.
    pub access_token: String,
    /// Seconds until it ends; `None` if it never does.
    pub expires_in: Option<i64>,
    /// What it carries, space-separated.
    pub scope: String,
    /// Its id, under which it is listed and revoked.
    pub jti: String,
}

impl fmt::Debug for GeneratedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedToken").field("jti", &self.jti).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct GeneratedTokenDto<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    scope: &'a str,
    jti: &'a str,
}

/// Like a reply of the token endpoint (RFC 6749 §5.1), with the `jti`.
impl Serialize for GeneratedToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = GeneratedTokenDto {
            access_token: &self.access_token,
            token_type: "Bearer",
            expires_in: self.expires_in,
            scope: &self.scope,
            jti: &self.jti,
        };
        dto.serialize(serializer)
    }
}

impl Issuer {
    /// Generates a token for a client within the caller's reach, and records it with its audit event and its mails.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the client; [`Error::Conflict`] while the client may have no tokens, or no key signs them;
    /// [`Error::Invalid`]; [`Error::Denied`] for a permission that the caller does not hold.
    pub async fn generate(
        &self,
        caller: &Caller,
        client_id: &str,
        wanted: &NewToken,
        save: Option<SaveReply<'_, GeneratedToken>>,
    ) -> Result<GeneratedToken, Error> {
        let client = self.tokens.client_to_issue_for(caller, client_id).await?;
        wanted.check(&client)?;
        let request = TokenRequest { scope: wanted.scope.as_deref().unwrap_or_default(), resources: &[] };
        let token = Wanted {
            request,
            token_expiry: wanted.token_expiry.unwrap_or(client.token_expiry),
            issued_by: &caller.actor.name,
            is_recorded: true,
            now: self.kernel.clock.now(),
        };
        if let Some(made) = self.generate_once(caller, &client, token, save.as_ref()).await? {
            return Ok(made);
        }
        let client = self.after_key_change(&client).await.map_err(|error| refusal(error, &client))?;
        let made = self.generate_once(caller, &client, token, save.as_ref()).await?;
        made.ok_or_else(|| refusal(IssueError::NoKey, &client))
    }

    /// `None` if the key was retired between signing and recording.
    async fn generate_once(
        &self,
        caller: &Caller,
        client: &Credentials,
        wanted: Wanted<'_>,
        save: Option<&SaveReply<'_, GeneratedToken>>,
    ) -> Result<Option<GeneratedToken>, Error> {
        let mut made = None;
        let issued = self.attempt(client, wanted, async |token: &RecordedToken, issued| {
            may_generate(caller, &issued.grant)?;
            let generated = GeneratedToken {
                access_token: issued.access_token.clone(),
                expires_in: issued.expires_in,
                scope: token.scope.clone(),
                jti: token.jti.clone(),
            };
            let standing =
                self.tokens.record_generated_token(caller, token, client.active_tokens, save, &generated);
            let standing = standing.await?;
            made = Some(generated);
            Ok(standing)
        });
        let issued = issued.await.map_err(|error| refusal(error, client))?;
        Ok(issued.and(made))
    }
}

/// Nobody gets more by generating a token than what they hold.
fn may_generate(caller: &Caller, grant: &Grant) -> Result<(), Error> {
    let permissions = grant.scope.split(' ').filter_map(|scope| scope.parse::<Permission>().ok());
    match permissions.into_iter().find(|permission| !caller.holds(*permission)) {
        None => Ok(()),
        Some(permission) => Err(Error::Denied(format!(
            "you do not hold the permission {permission} and so cannot generate a token with it: ask for a scope without \
             it, or request your own token with scope={permission} too, from an API client that holds it"
        ))),
    }
}

/// What the token endpoint says of a request is here said of fields and states.
fn refusal(error: IssueError, client: &Credentials) -> Error {
    match error {
        IssueError::Unavailable(error) => error,
        IssueError::NoKey => Error::Conflict(format!(
            "no active key signs such tokens{}: create one first with POST /v1/signing-keys",
            client.signing_alg.map(|alg| format!(" by {alg}")).unwrap_or_default()
        )),
        // Fields were judged before, by the client as it was then.
        IssueError::ClientChanged | IssueError::Refused(_) => Error::Conflict(
            "the API client or its workspace was changed at the same time: read it again, then repeat this"
                .to_owned(),
        ),
    }
}

impl NewToken {
    fn check(&self, client: &Credentials) -> Result<(), Error> {
        let mut broken = self.unread.clone();
        let scope = self.scope.as_deref().unwrap_or_default();
        let grant = match grant::select(&client.offer, scope, &[]) {
            Ok(grant) => Some(grant),
            Err(Refused::MalformedScope) => {
                broken.at("/scope", "must be scope tokens with single spaces between them");
                None
            }
            Err(_) => {
                let granted = &client.offer.whole.scope;
                broken.at("/scope", format!("must be of what the API client is granted: {granted}"));
                None
            }
        };
        match self.token_expiry {
            Some(expiry) => check_expiry(expiry, client, grant.as_deref(), &mut broken),
            None if client.token_expiry.is_never()
                && grant.is_some_and(|grant| !may_be_for_ever(client, &grant)) =>
            {
                broken.at(
                    "/token_expiry",
                    "must be given: the client's tokens never expire, which is no longer allowed here",
                );
            }
            None => {}
        }
        Error::if_broken(broken)
    }
}

/// Whether the client's own `token_expiry` may be "never" for this grant, as it stands now; a cap makes it finite.
fn may_be_for_ever(client: &Credentials, grant: &Grant) -> bool {
    grant.has_permission || (client.workspace_never_expires_allowed && grant.never_expires_allowed)
}

/// What is asked for is given or refused, never shortened: at most the client's expiry, and no more than the caps of what
/// the token carries.
fn check_expiry(expiry: TokenExpiry, client: &Credentials, grant: Option<&Grant>, broken: &mut Broken) {
    let own = client.token_expiry.seconds().unwrap_or(*LIFETIME_RANGE.end());
    let cap = grant.and_then(|grant| grant.lifetime_max);
    match expiry {
        TokenExpiry::After { seconds } if !(*LIFETIME_RANGE.start()..=own).contains(&seconds) => broken.at(
            "/token_expiry/seconds",
            format!("must be from {} to {own}, the API client's token_expiry", LIFETIME_RANGE.start()),
        ),
        TokenExpiry::After { seconds } => {
            if let Some(cap) = cap.filter(|cap| seconds > *cap) {
                broken.at(
                    "/token_expiry/seconds",
                    format!("must be at most {cap} for what this token carries"),
                );
            }
        }
        TokenExpiry::Never {} if !client.token_expiry.is_never() => {
            broken.at("/token_expiry/mode", "may be never only if the API client's token_expiry is");
        }
        TokenExpiry::Never {} => {
            let refused = grant
                .is_some_and(|grant| !grant.never_expires_allowed || !client.workspace_never_expires_allowed);
            if refused {
                broken.at(
                    "/token_expiry/mode",
                    "may not be never for what this token carries, or in this workspace",
                );
            } else if let Some(cap) = cap {
                broken.at(
                    "/token_expiry/mode",
                    format!("must be after, with at most {cap} seconds, for what this token carries"),
                );
            }
        }
    }
}
