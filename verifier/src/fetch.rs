//! How the verifier reaches the issuer: [`Fetch`], an HTTP client that the caller may replace, and [`Unavailable`], the
//! reasons why it got no usable answer.

use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// The size limit of metadata, key sets and status lists; a longer answer is refused.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// An HTTP client. [`HttpFetch`](crate::HttpFetch) is the default; implement this for a client of your own or for
/// tests. The client must not follow redirects, because the verifier trusts the answer as the issuer's, and should stop
/// reading beyond [`MAX_BODY_BYTES`], because a longer body is refused anyway. The verifier applies the time limit.
pub trait Fetch: Send + Sync + 'static {
    /// Sends a GET for `request.url`, which is always an https URL, or an http URL of this machine.
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a>;
}

/// The request that [`Fetch::get`] sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The absolute URL.
    pub url: &'a str,
    /// The `Accept` header.
    pub accept: &'static str,
    /// The `If-None-Match` header, if any: the `ETag` of the last answer (RFC 9110 §13.1.2). A client that does not
    /// send it gets the full answer each time.
    pub if_none_match: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A GET for JSON.
    pub fn new(url: &'a str) -> Self {
        Self { url, accept: "application/json", if_none_match: None }
    }
}

/// What [`Fetch::get`] returns.
pub type FetchFuture<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// The issuer's answer.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// The HTTP status code.
    pub status: u16,
    /// The `Cache-Control` headers, joined by commas.
    pub cache_control: Option<String>,
    /// The `ETag` header. Without it an unchanged status list is transferred each time.
    pub etag: Option<String>,
    /// The `Age` header: how many seconds the answer spent in caches on the way (RFC 9111 §5.1).
    pub age_seconds: u64,
    /// The body.
    pub body: Vec<u8>,
}

impl Fetched {
    /// [`Fetched::age_seconds`] in the type of the clock.
    pub(crate) fn age(&self) -> i64 {
        i64::try_from(self.age_seconds).unwrap_or(i64::MAX)
    }
}

/// Why there was no answer, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Why the issuer's keys or a status list are not available.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// Nothing has been fetched yet.
    #[error("nothing has been fetched yet")]
    NotFetched,
    /// The last answer is too old to be used.
    #[error("the last answer of the issuer is too old")]
    TooOld,
    /// The issuer could not be reached.
    #[error("the issuer cannot be reached: {0}")]
    Unreachable(String),
    /// The issuer did not answer in time.
    #[error("the issuer did not answer in time")]
    TimedOut,
    /// The status code of the answer is not 200, nor a 304 that confirms a cached list. Redirects are not followed.
    #[error("{url} answered with status {status}")]
    Status {
        /// The URL that was fetched.
        url: String,
        /// The HTTP status code.
        status: u16,
    },
    /// The content of the answer is not valid.
    #[error("the answer of {url} is not valid: {why}")]
    InvalidAnswer {
        /// The URL that was fetched.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Fetches, and applies the size limit even if `fetch` does not.
pub(crate) async fn get(fetch: &dyn Fetch, request: Request<'_>) -> Result<Fetched, Unavailable> {
    let answer = fetch.get(request).await.map_err(|error| Unavailable::Unreachable(error.0))?;
    if answer.body.len() > MAX_BODY_BYTES {
        return Err(Unavailable::InvalidAnswer {
            url: request.url.to_owned(),
            why: "it is longer than 256 KiB",
        });
    }
    Ok(answer)
}
