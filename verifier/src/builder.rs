//! [`VerifierBuilder`]: the settings of a [`Verifier`], their defaults and their limits.

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

/// The upper limit of [`VerifierBuilder::remember_tokens`].
const MAX_KNOWN_TOKENS: u32 = 10_000_000;

/// Builds a [`Verifier`].
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

/// Why a verifier could not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer is neither an https URL nor an http URL of this machine, or it has a query, a fragment, user
    /// information or a host that is not allowed.
    #[error("the issuer {0:?} {1}")]
    Issuer(String, &'static str),
    /// The audience is empty, or has a character that is not visible ASCII, or that is `"` or `\`.
    #[error("the audience {0:?} is not valid: use visible ASCII characters other than \" and \\")]
    Audience(String),
    /// A required product is not a product code.
    #[error("the product {0:?} is not a product code: use lower case letters, digits and . _ : -")]
    Product(String),
    /// A number is out of range.
    #[error("{0}")]
    Range(&'static str),
    /// There is no HTTP client.
    #[error(
        "there is no HTTP client: enable the crate feature `fetch`, or pass one to `VerifierBuilder::fetch`"
    )]
    NoTransport,
    /// The HTTP client of the feature `fetch` could not be created.
    #[error("the HTTP client could not be created: {0}")]
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
                start_leeway_seconds: None,
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

    /// Whether the status of each token is checked (default: yes). With the check, a revoked token is refused within
    /// the `ttl` of the status lists, and a token without the claim `status` is refused. Without the check, a revoked
    /// token is accepted until its `exp`; a token that never expires, until its key leaves the key set.
    pub fn check_status(mut self, check: bool) -> Self {
        self.check_status = check;
        self
    }

    /// For how many seconds past its `ttl` a status list is used while a newer one cannot be fetched (default 0: its
    /// tokens get 503 at once). A list is never used past its own `exp`. A list that Mintmark serves is valid for
    /// between half an hour and an hour. The price: a token that is revoked during the outage is accepted for that
    /// much longer. A service that starts during an outage has no list, so its answer is 503 whatever the setting.
    pub fn status_fail_open_seconds(mut self, seconds: u32) -> Self {
        self.status_fail_open = seconds;
        self
    }

    /// How many status lists are kept (default 256). Beyond that, the least recently used one is dropped. A list of
    /// Mintmark takes 32 KiB, no list more than 1 MiB.
    pub fn max_status_lists(mut self, lists: u32) -> Self {
        self.max_status_lists = lists;
        self
    }

    /// How many verified tokens are remembered (default 10 000, at most 10 million; 0: none), each with its claims and
    /// its SHA-256. The signature of a remembered token is not checked again. What can change is checked each time:
    /// that its key is still published, its times, its status.
    pub fn remember_tokens(mut self, tokens: u32) -> Self {
        self.known_tokens = tokens;
        self
    }

    /// Accepts tokens that never expire (default: they are refused). Keep [`check_status`](Self::check_status) on
    /// when you allow them: without the check such a token is accepted until its key is withdrawn.
    pub fn allow_never_expiring(mut self, allow: bool) -> Self {
        self.checks.never_expiring = allow;
        self
    }

    /// Accepts tokens bound to a key by `cnf` (default: they are refused). Your service must then check the proof of
    /// that key itself: the client certificate (RFC 8705 §3) or the `DPoP` proof (RFC 9449 §7).
    pub fn allow_bound(mut self, allow: bool) -> Self {
        self.checks.bound = allow;
        self
    }

    /// Requires a product of every token; several calls require all of them. For a single route use
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

    /// The greatest age of the key set, in seconds (default 3600). While the issuer is unreachable the last set is
    /// used up to that age, including a key that the issuer has withdrawn since.
    pub fn max_stale_seconds(mut self, seconds: u32) -> Self {
        self.limits.max_stale = i64::from(seconds);
        self
    }

    /// The shortest time between two fetches of the keys, and between two failed fetches of a status list, in seconds
    /// (default 10). While there are no usable keys, or no usable list, it is one second. Without this limit, each token
    /// with an invented `kid` would cause a fetch.
    pub fn min_refetch_seconds(mut self, seconds: u32) -> Self {
        self.limits.min_refetch = i64::from(seconds);
        self
    }

    /// The time limit of a fetch (default 5 s). The default HTTP client has limits too, which this does not change: 3 s
    /// for a connection and 10 s for a request.
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Replaces the HTTP client.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Replaces the system clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The checks without network and clock, for a program that has the key set itself. They do not check the status.
    pub fn checks(self) -> Result<Checks, BuildError> {
        let Self { checks, .. } = self;
        check_issuer(&checks.issuer).map_err(|why| BuildError::Issuer(checks.issuer.clone(), why))?;
        let visible = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if checks.audience.is_empty() || !checks.audience.bytes().all(visible) {
            return Err(BuildError::Audience(checks.audience));
        }
        let of_product = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:-".contains(&b);
        let is_code = |product: &&String| !product.is_empty() && product.bytes().all(of_product);
        if let Some(product) = checks.products.iter().find(|product| !is_code(product)) {
            return Err(BuildError::Product(product.clone()));
        }
        if checks.leeway_seconds > 300 {
            return Err(BuildError::Range("leeway_seconds may be at most 300"));
        }
        Ok(checks)
    }

    /// Builds the verifier. Nothing is fetched yet; see [`Verifier::refresh`].
    pub fn build(mut self) -> Result<Verifier, BuildError> {
        let fetch = self.fetch.take().map_or_else(default_client, Ok)?;
        let (clock, limits) = (Arc::clone(&self.clock), self.limits.clone());
        if limits.min_refetch < 1 || limits.max_stale < limits.min_refetch {
            return Err(BuildError::Range(
                "min_refetch_seconds must be at least 1 and at most max_stale_seconds",
            ));
        }
        if self.max_status_lists == 0 {
            return Err(BuildError::Range("max_status_lists must be at least 1"));
        }
        if self.known_tokens > MAX_KNOWN_TOKENS {
            return Err(BuildError::Range("remember_tokens may be at most 10 000 000"));
        }
        let list_limits = status::Limits {
            lists: self.max_status_lists as usize,
            fail_open: i64::from(self.status_fail_open),
            min_refetch: limits.min_refetch,
            timeout: limits.timeout,
        };
        let (check_status, known) = (self.check_status, KnownTokens::new(self.known_tokens as usize));
        let checks = self.checks()?;
        let lists = check_status
            .then(|| Lists::new(&checks.issuer, Arc::clone(&fetch), Arc::clone(&clock), list_limits));
        let jwks = Jwks::new(checks.issuer.clone(), fetch, Arc::clone(&clock), limits);
        Ok(Verifier { checks, jwks, lists, known, clock })
    }
}

#[cfg(feature = "fetch")]
fn default_client() -> Result<Arc<dyn Fetch>, BuildError> {
    crate::HttpFetch::new()
        .map(|fetch| Arc::new(fetch) as Arc<dyn Fetch>)
        .map_err(|error| BuildError::Transport(error.0))
}

#[cfg(not(feature = "fetch"))]
fn default_client() -> Result<Arc<dyn Fetch>, BuildError> {
    Err(BuildError::NoTransport)
}
