//! The usual transport: reqwest over rustls with ring. No redirects, bounded in bytes and time.

use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use std::time::Duration;

use crate::fetch::{Fetch, FetchError, FetchFuture, Fetched, MAX_BODY_BYTES, Request};

/// Reaches the issuer over HTTPS, trusting the certificates the machine trusts. Honours the usual proxy
/// variables.
#[derive(Debug, Clone)]
pub struct HttpFetch {
    client: reqwest::Client,
}

impl HttpFetch {
    /// A transport. Makes ring the process's TLS provider, unless one is installed already.
    pub fn new() -> Result<Self, FetchError> {
        // An error says that another provider is in place, which is the caller's choice to make.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("mintmark-verifier/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(10))
            // A few requests a minute, perhaps from several runtimes: a pooled connection would outlive its
            // own.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| FetchError(chain(&error)))?;
        Ok(Self { client })
    }

    async fn fetch(&self, asked: Request<'_>) -> Result<Fetched, FetchError> {
        let failed = |error: reqwest::Error| FetchError(chain(&error));
        let mut request = self.client.get(asked.url).header(ACCEPT, asked.accept);
        if let Some(etag) = asked.if_none_match {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                let url = asked.url;
                return Err(FetchError(format!("the answer of {url} is longer than {MAX_BODY_BYTES} bytes")));
            }
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

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() { None } else { Some(values.join(", ")) }
}

/// reqwest's own text leaves out the cause, which is what the reader of a log needs.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
