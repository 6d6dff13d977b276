//! How the verifier reaches the issuer: one GET at a time, through a transport the caller may replace.

use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// The most bytes of metadata or key set that are read; a longer answer is refused.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// A transport. [`HttpFetch`](crate::HttpFetch) is the usual one; tests and programs with a client of their
/// own bring another. It must not follow redirects (the answer is taken as the issuer's word), and should
/// stop reading at [`MAX_BODY_BYTES`]. How long it may take is bounded by the verifier.
pub trait Fetch: Send + Sync + 'static {
    /// GETs `url`, which has been checked to be https, or plain http to this machine.
    fn get<'a>(&'a self, url: &'a str) -> FetchFuture<'a>;
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
    /// The `Age` field: for how many seconds a cache on the way has held the answer (RFC 9111 §5.1).
    pub age_seconds: u64,
    /// The body.
    pub body: Vec<u8>,
}

/// No answer was had; says why, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FetchError(pub String);
