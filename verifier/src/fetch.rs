//! How the verifier reaches the issuer: one GET at a time, through a transport the caller may replace; and why an
//! answer was not had.

use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// The most bytes of metadata, key set or status list that are read; a longer answer is refused.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// A transport. [`HttpFetch`](crate::HttpFetch) is the usual one; tests and programs with a client of their
/// own bring another. It must not follow redirects (the answer is taken as the issuer's word), and should
/// stop reading at [`MAX_BODY_BYTES`]. How long it may take is bounded by the verifier.
pub trait Fetch: Send + Sync + 'static {
    /// GETs `request.url`, which has been checked to be https, or plain http to this machine.
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a>;
}

/// What [`Fetch::get`] is to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The whole URL.
    pub url: &'a str,
    /// The `Accept` field to send.
    pub accept: &'static str,
    /// The `If-None-Match` field to send, if any: the `ETag` of the answer that is held (RFC 9110 §13.1.2). A
    /// transport that leaves it out is given the whole answer each time.
    pub if_none_match: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A plain GET of JSON.
    pub fn new(url: &'a str) -> Self {
        Self { url, accept: "application/json", if_none_match: None }
    }
}

/// What [`Fetch::get`] returns.
pub type FetchFuture<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// An answer of the issuer.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The `Cache-Control` fields, joined by commas.
    pub cache_control: Option<String>,
    /// The `ETag` field. Without it an unchanged status list is fetched whole each time.
    pub etag: Option<String>,
    /// The `Age` field: for how many seconds a cache on the way has held the answer (RFC 9111 §5.1).
    pub age_seconds: u64,
    /// The body.
    pub body: Vec<u8>,
}

impl Fetched {
    /// [`Fetched::age_seconds`] as the verifier counts.
    pub(crate) fn age(&self) -> i64 {
        i64::try_from(self.age_seconds).unwrap_or(i64::MAX)
    }
}

/// No answer was had; says why, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Why the issuer's keys or a status list could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// None has been fetched yet.
    #[error("nothing has been fetched yet")]
    NotFetched,
    /// What is held is older than it may be.
    #[error("what was fetched last is too old to be trusted")]
    TooOld,
    /// The issuer was not reached.
    #[error("the issuer was not reached: {0}")]
    Unreachable(String),
    /// The issuer did not answer in time.
    #[error("the issuer did not answer in time")]
    TimedOut,
    /// Something other than 200 was answered; redirects are not followed.
    #[error("{url} answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer was not what it should be.
    #[error("{url} did not answer as it should: {why}")]
    Refused {
        /// What was asked for.
        url: String,
        /// What was wrong with the answer.
        why: &'static str,
    },
}

/// Asks through `fetch`, and reads no more than may be read.
pub(crate) async fn get(fetch: &dyn Fetch, request: Request<'_>) -> Result<Fetched, Unavailable> {
    let answer = fetch.get(request).await.map_err(|error| Unavailable::Unreachable(error.0))?;
    if answer.body.len() > MAX_BODY_BYTES {
        return Err(Unavailable::Refused { url: request.url.to_owned(), why: "it is too long" });
    }
    Ok(answer)
}
