//! [`Verifier`]: what a service asks about a token, and how it is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

use crate::clock::{Clock, SystemClock};
use crate::endpoint::check_issuer;
use crate::fetch::Fetch;
use crate::jwks::{Jwks, KeysError, Limits};
use crate::{AccessTokenClaims, Checks, VerifyError};

/// Verifies the access tokens of one issuer for one audience. Share one per process (it is `Send + Sync`): it
/// holds the issuer's keys.
pub struct Verifier {
    checks: Checks,
    jwks: Jwks,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier for tokens of `issuer` (compared byte for byte, as in its metadata) meant for `audience`.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder {
            checks: Checks {
                issuer: issuer.into(),
                audience: audience.into(),
                leeway_seconds: 5,
                never_expiring: false,
                bound: false,
                products: Vec::new(),
            },
            fetch: None,
            clock: Arc::new(SystemClock),
            limits: Limits { max_stale: 3600, min_refetch: 10, timeout: Duration::from_secs(5) },
        }
    }

    /// The claims of `token`, if it holds. Fetches the issuer's keys when they are due or the token names one
    /// that is not among them.
    pub async fn verify(&self, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        let token = self.checks.open(token)?;
        let snapshot = self.jwks.for_kid(&token.kid).await.map_err(VerifyError::KeysUnavailable)?;
        self.checks.finish(&token, &snapshot.keys, self.clock.unix_seconds())
    }

    /// The same with the keys at hand, for code that cannot wait. Something else has to keep them up to date:
    /// calls of [`Verifier::verify`], or [`Verifier::refresh`] on a timer.
    pub fn verify_cached(&self, token: &str) -> Result<AccessTokenClaims, VerifyError> {
        let token = self.checks.open(token)?;
        let snapshot = self.jwks.cached().map_err(VerifyError::KeysUnavailable)?;
        self.checks.finish(&token, &snapshot.keys, self.clock.unix_seconds())
    }

    /// Fetches the issuer's keys ahead of the first token, or on a timer. Bound by the same rate limit, so
    /// within it the answer is that of the last fetch.
    pub async fn refresh(&self) -> Result<(), KeysError> {
        self.jwks.refresh().await
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

/// Sets up a [`Verifier`].
#[must_use]
pub struct VerifierBuilder {
    checks: Checks,
    fetch: Option<Box<dyn Fetch>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// Why a verifier could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer is not a URL that may be asked for keys.
    #[error("the issuer {0:?} {1}")]
    Issuer(String, &'static str),
    /// The audience is empty or has characters that none has.
    #[error("the audience {0:?} is empty or not plain visible ASCII without quotes")]
    Audience(String),
    /// A demanded product is not a product code.
    #[error("the product {0:?} is not a product code: lower case letters, digits and . _ : - only")]
    Product(String),
    /// A number is out of its range.
    #[error("{0}")]
    Range(&'static str),
    /// There is no transport.
    #[error("no transport: bring one with `fetch`, or use the crate's feature of that name")]
    NoTransport,
    /// The transport could not be set up.
    #[error("the transport could not be set up: {0}")]
    Transport(String),
}

impl VerifierBuilder {
    /// Accepts tokens that never expire (default: they are refused). Only for services that consult the
    /// status list or can live with a token that dies with its key alone.
    pub fn allow_never_expiring(mut self, allow: bool) -> Self {
        self.checks.never_expiring = allow;
        self
    }

    /// Accepts tokens bound to a key by `cnf` (default: they are refused), which is a promise that the caller
    /// checks the proof: the client certificate (RFC 8705 §3) or the `DPoP` proof (RFC 9449 §7).
    pub fn allow_bound(mut self, allow: bool) -> Self {
        self.checks.bound = allow;
        self
    }

    /// Demands a product of every token; several calls demand all of them. For one call alone use
    /// [`AccessTokenClaims::require_product`].
    pub fn require_product(mut self, product: impl Into<String>) -> Self {
        self.checks.products.push(product.into());
        self
    }

    /// How far this machine's clock may be from the issuer's, in seconds (default 5, at most 300).
    pub fn leeway_seconds(mut self, seconds: u32) -> Self {
        self.checks.leeway_seconds = i64::from(seconds);
        self
    }

    /// The bound on the age of the key set, in seconds (default 3600): while the issuer cannot be reached,
    /// its last set goes on being used for so long, and a key it withdrew meanwhile with it.
    pub fn max_stale_seconds(mut self, seconds: u32) -> Self {
        self.limits.max_stale = i64::from(seconds);
        self
    }

    /// The least time between two fetches, in seconds (default 10), so that tokens with made-up keys cannot
    /// make this service ask the issuer at their pace.
    pub fn min_refetch_seconds(mut self, seconds: u32) -> Self {
        self.limits.min_refetch = i64::from(seconds);
        self
    }

    /// The longest a fetch may take (default 5 s).
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Another transport than the usual one.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Box::new(fetch));
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The checks alone, for a program that holds the key set itself.
    pub fn checks(self) -> Result<Checks, BuildError> {
        let Self { checks, .. } = self;
        check_issuer(&checks.issuer).map_err(|why| BuildError::Issuer(checks.issuer.clone(), why))?;
        let visible = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if checks.audience.is_empty() || !checks.audience.bytes().all(visible) {
            return Err(BuildError::Audience(checks.audience));
        }
        let of_code = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:-".contains(&b);
        let is_code = |product: &&String| !product.is_empty() && product.bytes().all(of_code);
        if let Some(product) = checks.products.iter().find(|product| !is_code(product)) {
            return Err(BuildError::Product(product.clone()));
        }
        if checks.leeway_seconds > 300 {
            return Err(BuildError::Range("leeway_seconds may be at most 300"));
        }
        Ok(checks)
    }

    /// The verifier. It fetches nothing yet: see [`Verifier::refresh`].
    pub fn build(mut self) -> Result<Verifier, BuildError> {
        let fetch = self.fetch.take().map_or_else(usual_transport, Ok)?;
        let (clock, limits) = (Arc::clone(&self.clock), self.limits.clone());
        if limits.min_refetch < 1 || limits.max_stale < limits.min_refetch {
            return Err(BuildError::Range(
                "min_refetch_seconds must be at least 1, max_stale_seconds no less",
            ));
        }
        let checks = self.checks()?;
        let jwks = Jwks::new(checks.issuer.clone(), fetch, Arc::clone(&clock), limits);
        Ok(Verifier { checks, jwks, clock })
    }
}

#[cfg(feature = "fetch")]
fn usual_transport() -> Result<Box<dyn Fetch>, BuildError> {
    crate::HttpFetch::new()
        .map(|fetch| Box::new(fetch) as Box<dyn Fetch>)
        .map_err(|error| BuildError::Transport(error.0))
}

#[cfg(not(feature = "fetch"))]
fn usual_transport() -> Result<Box<dyn Fetch>, BuildError> {
    Err(BuildError::NoTransport)
}
