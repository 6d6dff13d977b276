//! A request to another host, and its reply.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};

const TIME_MAX: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 256 * 1024;

/// A request. It has no `Debug`, since it may contain a secret.
#[expect(missing_debug_implementations, reason = "it may contain a secret")]
pub struct Request<'a> {
    url: &'a str,
    form: Option<&'a [(&'a str, &'a str)]>,
    json: Option<&'a str>,
    headers: Vec<(&'static str, &'a str)>,
    basic: Option<(&'a str, &'a str)>,
    time: Duration,
    bytes: usize,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What is read of a reply if its body is not needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The status code.
    pub status: u16,
    /// `Retry-After`, as it was sent.
    pub retry_after: Option<String>,
    /// The first bytes of the body, as many as the request allowed; `None` for a host that is reached only because
    /// `outbound.allow` lists it, since people who may set a URL must not read what is inside a network.
    pub beginning: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    /// A GET that asks for JSON.
    pub fn get(url: &'a str) -> Self {
        Self {
            url,
            form: None,
            json: None,
            headers: Vec::new(),
            basic: None,
            time: TIME_MAX,
            bytes: BYTES_MAX,
        }
    }

    /// A POST of a form that asks for JSON.
    pub fn form(url: &'a str, form: &'a [(&'a str, &'a str)]) -> Self {
        Self { form: Some(form), ..Self::get(url) }
    }

    /// A POST of these bytes, which are JSON.
    pub fn json(url: &'a str, body: &'a str) -> Self {
        Self { json: Some(body), ..Self::get(url) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Authenticates with HTTP Basic. The caller has form-encoded `id` and `secret` where RFC 6749 §2.3.1 requires it.
    #[must_use]
    pub fn basic(self, id: &'a str, secret: &'a str) -> Self {
        Self { basic: Some((id, secret)), ..self }
    }

    /// Limits the time until the reply is read, 10 seconds by default.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Limits the bytes of the body, 256 KiB by default.
    #[must_use]
    pub fn at_most(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    pub(super) fn url(&self) -> &'a str {
        self.url
    }

    pub(super) fn limit(&self) -> usize {
        self.bytes
    }

    pub(super) fn build(self, client: &Client, url: Url) -> RequestBuilder {
        let built = match (self.form, self.json) {
            (Some(form), _) => client.post(url).form(form),
            (None, Some(json)) => {
                client.post(url).header(CONTENT_TYPE, "application/json").body(json.to_owned())
            }
            (None, None) => client.get(url),
        };
        let built = self.headers.iter().fold(built, |built, (name, value)| built.header(*name, *value));
        let built = built.header(ACCEPT, "application/json").timeout(self.time);
        match self.basic {
            Some((id, secret)) => built.basic_auth(id, Some(secret)),
            None => built,
        }
    }
}
