//! [`VerifierBuilder`]: how a [`Verifier`] is set up, and what can be wrong with that.

use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

use crate::clock::{Clock, SystemClock};
use crate::endpoint::check_issuer;
use crate::fetch::Fetch;
use crate::jwks::{Jwks, Limits};
use crate::known_tokens::KnownTokens;
use crate::status::{self, Lists};
use crate::{Checks, Verifier};

/// The most tokens that may be remembered.
const MAX_KNOWN_TOKENS: u32 = 10_000_000;

/// Sets up a [`Verifier`].
#[must_use]
pub struct VerifierBuilder {
    checks: Checks,
    fetch: Option<Arc<dyn Fetch>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    check_status: bool,
    max_status_lists: u32,
    status_fail_open: u32,
    known_tokens: u32,
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
    pub(crate) fn new(issuer: String, audience: String) -> Self {
        Self {
            checks: Checks {
                issuer,
                audience,
                any_audience: false,
                leeway_seconds: 5,
                never_expiring: false,
                bound: false,
                products: Vec::new(),
            },
            fetch: None,
            clock: Arc::new(SystemClock),
            limits: Limits { max_stale: 3600, min_refetch: 10, timeout: Duration::from_secs(5) },
            check_status: true,
            max_status_lists: 256,
            status_fail_open: 0,
            known_tokens: 10_000,
        }
    }

    /// Whether each token's status is looked up (default: it is), so that a revoked token is refused within the
    /// `ttl` of the status lists; a token without the claim `status` is refused too. Without it a token lives until
    /// its `exp`, and one that never expires until its key is withdrawn.
    pub fn check_status(mut self, check: bool) -> Self {
        self.check_status = check;
        self
    }

    /// What to do while a status list cannot be fetched. By default (0) a list is never used beyond its `ttl`: then
    /// its tokens get 503. With a bound above 0 the last list goes on being used for so many seconds past its `ttl`,
    /// though never past its own `exp` (Mintmark's lists live for half an hour to an hour): a token revoked
    /// meanwhile is accepted for so much longer. It is no help without a list: after a start during an outage there
    /// is nothing to go on with, and the answer is 503.
    pub fn status_fail_open_seconds(mut self, seconds: u32) -> Self {
        self.status_fail_open = seconds;
        self
    }

    /// How many status lists are held (default 256; each 32 KiB for Mintmark's, 1 MiB at most). Beyond that the one
    /// used longest ago makes room.
    pub fn max_status_lists(mut self, lists: u32) -> Self {
        self.max_status_lists = lists;
        self
    }

    /// How many tokens that were found good are remembered (default 10 000, at most 10 million; 0: none), each with its claims and the
    /// SHA-256 of its text. Of a remembered token the signature is not checked again, all that may change is: that
    /// its key is published, the times, its status.
    pub fn remember_tokens(mut self, tokens: u32) -> Self {
        self.known_tokens = tokens;
        self
    }

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
    /// [`AccessTokenClaims::require_product`](crate::AccessTokenClaims::require_product).
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

    /// The least time between two fetches of the keys, and between two failing ones of a status list that can
    /// still be used, in seconds (default 10), so that tokens with made-up keys cannot
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
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The checks alone, for a program that holds the key set itself. They say nothing of a token's status.
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
        if self.max_status_lists == 0 {
            return Err(BuildError::Range("max_status_lists must be at least 1"));
        }
        if self.known_tokens > MAX_KNOWN_TOKENS {
            return Err(BuildError::Range("remember_tokens may be at most 10 000 000"));
        }
        let of_lists = status::Limits {
            lists: self.max_status_lists as usize,
            fail_open: i64::from(self.status_fail_open),
            min_refetch: limits.min_refetch,
            timeout: limits.timeout,
        };
        let (check_status, known) = (self.check_status, KnownTokens::new(self.known_tokens as usize));
        let checks = self.checks()?;
        let lists = check_status
            .then(|| Lists::new(&checks.issuer, Arc::clone(&fetch), Arc::clone(&clock), of_lists));
        let jwks = Jwks::new(checks.issuer.clone(), fetch, Arc::clone(&clock), limits);
        Ok(Verifier { checks, jwks, lists, known, clock })
    }
}

#[cfg(feature = "fetch")]
fn usual_transport() -> Result<Arc<dyn Fetch>, BuildError> {
    crate::HttpFetch::new()
        .map(|fetch| Arc::new(fetch) as Arc<dyn Fetch>)
        .map_err(|error| BuildError::Transport(error.0))
}

#[cfg(not(feature = "fetch"))]
fn usual_transport() -> Result<Arc<dyn Fetch>, BuildError> {
    Err(BuildError::NoTransport)
}
