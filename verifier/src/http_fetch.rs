//! [`HttpFetch`], the default HTTP client: reqwest over rustls with ring. It follows no redirects and limits size and
//! time.

use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use std::time::Duration;

use crate::fetch::{Fetch, FetchError, FetchFuture, Fetched, MAX_BODY_BYTES, Request};

/// Fetches over HTTPS. Trusts the certificates that the machine trusts, and uses the proxy named by `HTTPS_PROXY` and
/// similar variables.
#[derive(Debug, Clone)]
pub struct HttpFetch {
    client: reqwest::Client,
}

impl HttpFetch {
    /// Creates the client. Installs ring as the TLS provider of the process, unless there is one already.
    pub fn new() -> Result<Self, FetchError> {
        // An error means that a provider is installed already, by an earlier call or by the program. That one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("mintmark-verifier/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(10))
            // There are a few requests a minute, possibly from several runtimes. A pooled connection would fail once
            // the runtime that opened it has ended.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| FetchError(chain(&error)))?;
        Ok(Self { client })
    }

    async fn fetch(&self, request: Request<'_>) -> Result<Fetched, FetchError> {
        let failed = |error: reqwest::Error| FetchError(chain(&error));
        let mut builder = self.client.get(request.url).header(ACCEPT, request.accept);
        if let Some(etag) = request.if_none_match {
            builder = builder.header(IF_NONE_MATCH, etag);
        }
        let mut response = builder.send().await.map_err(failed)?;
        let mut body = Vec::new();
        // A body that exceeds the limit is cut off, and the verifier refuses it for its length.
        while body.len() <= MAX_BODY_BYTES
            && let Some(chunk) = response.chunk().await.map_err(failed)?
        {
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers();
        Ok(Fetched {
            status: response.status().as_u16(),
            cache_control: joined(headers, &CACHE_CONTROL),
            etag: joined(headers, &ETAG),
            age_seconds: joined(headers, &AGE).and_then(|age| age.parse().ok()).unwrap_or(0),
            body,
        })
    }
}

impl Fetch for HttpFetch {
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a> {
        Box::pin(self.fetch(request))
    }
}

/// All values of a header, separated by commas.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() { None } else { Some(values.join(", ")) }
}

/// The error with all its causes, such as "connection refused", which reqwest's own text leaves out.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
