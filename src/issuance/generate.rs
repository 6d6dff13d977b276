//! Generates a token for an API client at the request of an administrator (`docs/tokens.md`). The rules of the token endpoint
//! apply, and the client must not have more permissions than the administrator. The token is always recorded, so that it can be
//! listed and revoked.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use super::new_token::NewToken;
use super::{IssueError, Issuer, TokenRequest, Wanted};
use crate::clients::Credentials;
use crate::kernel::{Error, Manager};
use crate::ledger::SaveReply;
use crate::storage::IssueCheck;

/// A generated token, shown once. `Debug` does not print it.
pub struct GeneratedToken {
    /// The token.
    pub access_token: String,
    /// Seconds until it expires; `None` if it never expires.
    pub expires_in: Option<i64>,
    /// Its scope tokens, space-separated.
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
    /// [`Error::NotFound`] for the client; [`Error::Conflict`] while the client may not have tokens or no key signs them, and
    /// if the client was changed meanwhile; [`Error::Invalid`]; [`Error::LacksSome`] if the client has more permissions than
    /// the caller; [`Error::Clock`] while the clock is too far from that of the database; [`Error::ChangedAgain`];
    /// [`Error::Crypto`] if the token cannot be signed; [`Error::Storage`].
    pub async fn generate(
        &self,
        caller: &Manager,
        client_id: &str,
        wanted: &NewToken,
        save: Option<SaveReply<'_, GeneratedToken>>,
    ) -> Result<GeneratedToken, Error> {
        let client = self.tokens.client_to_issue_for(caller, client_id).await?;
        self.ledger.clock_must_agree()?;
        wanted.check(&client)?;
        let now = self.kernel.clock.now();
        let token = |client: &Credentials| Wanted {
            request: TokenRequest {
                scope: wanted.scope.as_deref().unwrap_or_default(),
                ..TokenRequest::default()
            },
            token_expiry: wanted.token_expiry.unwrap_or(client.token_expiry),
            is_recorded: true,
            now,
        };
        if let Some(made) = self.generate_once(caller, &client, token(&client), save.as_ref()).await? {
            return Ok(made);
        }
        // The client's generation ended, or the key stopped signing, in the meantime: try again, once.
        self.ledger.poll().await?;
        let client = self.tokens.client_to_issue_for(caller, client_id).await?;
        wanted.check(&client)?;
        let made = self.generate_once(caller, &client, token(&client), save.as_ref()).await?;
        made.ok_or(Error::ChangedAgain)
    }

    /// `None` if, between signing and recording, the client's generation ended or the key stopped signing.
    async fn generate_once(
        &self,
        caller: &Manager,
        client: &Credentials,
        wanted: Wanted<'_>,
        save: Option<&SaveReply<'_, GeneratedToken>>,
    ) -> Result<Option<GeneratedToken>, Error> {
        let refused = |error| self.refusal(error, client);
        let draft = self.draft(client, &wanted).await.map_err(refused)?;
        let token = draft.row(client, Cow::Owned(caller.actor.name.clone()));
        let issued = self.sign(client, draft).map_err(refused)?;
        let made = GeneratedToken {
            access_token: issued.access_token,
            expires_in: issued.expires_in,
            scope: token.scope.to_string(),
            jti: token.jti.clone(),
        };
        let check = self.tokens.record_generated_token(caller, &token, client.active_tokens, save, &made);
        match check.await? {
            IssueCheck::Allowed => Ok(Some(made)),
            IssueCheck::GenerationEnded | IssueCheck::KeyNotSigning => Ok(None),
            IssueCheck::ClientNotAllowed => Err(changed()),
        }
    }

    /// The error that the administrator gets if issuing fails.
    fn refusal(&self, error: IssueError, client: &Credentials) -> Error {
        match error {
            IssueError::Unavailable(error) => error,
            IssueError::NoKey => {
                let alg = client.signing_alg.unwrap_or(self.kernel.policy.signing_alg);
                let missing = self.ring.missing(alg, self.kernel.clock.now());
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                Error::Conflict(if missing.is_empty() {
                    "the signing key was retired at the same time: repeat the request".to_owned()
                } else {
                    missing.join("; ")
                })
            }
            IssueError::NotSigned => Error::Crypto("the token could not be signed".to_owned()),
            IssueError::ChangedAgain => Error::ChangedAgain,
            // The fields were checked before, against an earlier state of the client.
            IssueError::ClientRefused(_) | IssueError::Grant(_) => changed(),
        }
    }
}

fn changed() -> Error {
    Error::Conflict(
        "the API client or its workspace was changed at the same time: read it again, then repeat the request"
            .to_owned(),
    )
}
