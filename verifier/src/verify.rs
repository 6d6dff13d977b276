//! [`Verifier`]: what a service asks about a token.

use std::fmt;
use std::sync::Arc;

use crate::checks::Holds;
use crate::clock::Clock;
use crate::fetch::Unavailable;
use crate::jwks::{Jwks, Snapshot};
use crate::jws::Unverified;
use crate::known_tokens::{Hash, KnownToken, KnownTokens};
use crate::status::Lists;
use crate::{AccessTokenClaims, Checks, KeySet, VerifierBuilder, VerifyError};

/// Verifies the access tokens of one issuer for one audience. Share one per process (it is `Send + Sync`): it
/// holds the issuer's keys, its status lists, and the tokens that were found good.
pub struct Verifier {
    pub(crate) checks: Checks,
    pub(crate) jwks: Jwks,
    /// `None`: status is not checked.
    pub(crate) lists: Option<Lists>,
    pub(crate) known: KnownTokens,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier for tokens of `issuer` (compared byte for byte, as in its metadata) meant for `audience`.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder::new(issuer.into(), audience.into())
    }

    /// The claims of `token`, if it holds and its status list says that it is valid. Fetches the issuer's keys and
    /// the list when they are due, or when the token names one that is not at hand; otherwise it asks nobody and
    /// takes no lock.
    pub async fn verify(&self, token: &str) -> Result<Arc<AccessTokenClaims>, VerifyError> {
        let (hash, now) = (self.known.hash(token), self.clock.unix_seconds());
        if let Some(known) = hash.as_ref().and_then(|hash| self.known.get(hash, now)) {
            let snapshot = self.jwks.for_kid(&known.key.kid).await.map_err(VerifyError::KeysUnavailable)?;
            if snapshot.keys.has(&known.key) {
                return self.admit(&known).await;
            }
        }
        let token = self.checks.open(token)?;
        let snapshot = self.jwks.for_kid(&token.kid).await.map_err(VerifyError::KeysUnavailable)?;
        let known = self.judge(&token, hash, &snapshot.keys)?;
        self.admit(&known).await
    }

    /// The same with the keys and lists at hand, for code that cannot wait. Something else has to keep them up to
    /// date: calls of [`Verifier::verify`], or [`Verifier::refresh`] on a timer.
    pub fn verify_cached(&self, token: &str) -> Result<Arc<AccessTokenClaims>, VerifyError> {
        let (hash, now) = (self.known.hash(token), self.clock.unix_seconds());
        let known = hash.as_ref().and_then(|hash| self.known.get(hash, now));
        let known = match known {
            Some(known) if self.keys_at_hand()?.keys.has(&known.key) => known,
            _ => {
                let token = self.checks.open(token)?;
                self.judge(&token, hash, &self.keys_at_hand()?.keys)?
            }
        };
        self.check_times(&known)?;
        if let (Some(lists), Some(place)) = (&self.lists, known.place) {
            lists.check_cached(place, &self.jwks)?;
        }
        Ok(Arc::clone(&known.claims))
    }

    /// Fetches the issuer's keys ahead of the first token, or on a timer; and with them those status lists in use
    /// that are past the first half of their time. A service that calls it every quarter of the lists' `ttl` has no
    /// request that waits for the issuer. Bound by the same rate limits, so within them the answer is that of the
    /// last fetch.
    pub async fn refresh(&self) -> Result<(), Unavailable> {
        let keys = self.jwks.refresh().await;
        match &self.lists {
            Some(lists) => keys.and(lists.refresh(&self.jwks).await),
            None => keys,
        }
    }

    /// Checks a token that was not known, all but its status, and remembers it.
    fn judge(
        &self,
        token: &Unverified<'_>,
        hash: Option<Hash>,
        keys: &KeySet,
    ) -> Result<Arc<KnownToken>, VerifyError> {
        let now = self.clock.unix_seconds();
        let Holds { claims, key, validity } = self.checks.finish(token, keys, now)?;
        let place = self.lists.as_ref().map(|lists| lists.place(&claims)).transpose()?;
        let known = Arc::new(KnownToken::new(hash.unwrap_or_default(), claims, key, validity, place));
        if hash.is_some() {
            self.known.insert(Arc::clone(&known), now);
        }
        Ok(known)
    }

    /// The claims of a token whose key is published, if it holds now.
    async fn admit(&self, known: &KnownToken) -> Result<Arc<AccessTokenClaims>, VerifyError> {
        self.check_times(known)?;
        if let (Some(lists), Some(place)) = (&self.lists, known.place) {
            lists.check(place, &self.jwks).await?;
        }
        Ok(Arc::clone(&known.claims))
    }

    fn check_times(&self, known: &KnownToken) -> Result<(), VerifyError> {
        known.validity.check(self.clock.unix_seconds(), self.checks.leeway_seconds)
    }

    fn keys_at_hand(&self) -> Result<Arc<Snapshot>, VerifyError> {
        self.jwks.cached().map_err(VerifyError::KeysUnavailable)
    }

    /// The audience it verifies for.
    pub fn audience(&self) -> &str {
        &self.checks.audience
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("checks", &self.checks).finish_non_exhaustive()
    }
}
