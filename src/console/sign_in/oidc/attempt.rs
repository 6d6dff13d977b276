//! What a sign-in by a provider needs to know when the browser comes back: kept sealed in the database under the `state`,
//! and taken once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::super::super::door::Door;
use super::super::super::stop::Stop;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;

const PURPOSE: &str = "oidc";
/// How long somebody may take at the provider, in seconds.
const KEPT_SECONDS: i64 = 600;

/// A sign-in that has begun.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) provider: String,
    /// The CSRF token of the browser that the sign-in began in.
    pub(super) browser: String,
    pub(super) nonce: String,
    /// The code verifier (RFC 7636 §4.1).
    pub(super) verifier: String,
    pub(super) began_at: UnixSeconds,
    pub(super) aim: Aim,
    /// Where to go afterwards.
    pub(super) next: String,
}

/// What the sign-in is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Aim {
    /// To start a session.
    SignIn,
    /// To make the session fresh.
    Again { session_id: String },
    /// To make the account a way in of the operator who has the session.
    Link { session_id: String },
    /// To make the account the way in of the operator who has this setup link.
    Setup { token: String },
}

impl Attempt {
    pub(super) fn new(
        door: &Door,
        provider: &str,
        browser: String,
        aim: Aim,
        next: String,
    ) -> Result<Self, Stop> {
        let random = || {
            let bytes = door.random.fill::<32>().map_err(Error::from)?;
            Ok::<_, Error>(URL_SAFE_NO_PAD.encode(bytes))
        };
        let began_at = door.services.clock().now();
        let (nonce, verifier) = (random()?, random()?);
        Ok(Self { provider: provider.to_owned(), browser, nonce, verifier, began_at, aim, next })
    }

    /// Stores the attempt. Returns the `state` by which it is taken.
    pub(super) async fn keep(&self, door: &Door) -> Result<String, Stop> {
        let bytes = serde_json::to_vec(self).map_err(|_| Stop::unavailable())?;
        let state = door.services.operators.new_state(PURPOSE, &bytes, KEPT_SECONDS).await?;
        Ok(state.to_string())
    }

    /// Takes the attempt of a `state`; nobody gets it again.
    pub(super) async fn take(door: &Door, state: &str) -> Result<Option<Self>, Stop> {
        let bytes = door.services.operators.take_state(PURPOSE, state).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The code challenge, by the method `S256` (RFC 7636 §4.2).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }

    /// The earliest time at which the person may have proved to the provider who they are. `None` unless the session is to
    /// become fresh.
    pub(super) fn authenticated_since(&self) -> Option<UnixSeconds> {
        matches!(self.aim, Aim::Again { .. }).then_some(self.began_at)
    }
}
