//! HTTP requests of commands: the client, the fetches of the token verifier, and the text of errors.

use std::time::Duration;

use mintmark_verifier::{Fetch, FetchError, FetchFuture, Fetched, Request};
use reqwest::header::{ACCEPT, CACHE_CONTROL};
use reqwest::{Client, redirect};

use super::Failure;

/// How long a server may take to answer.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A client that follows no redirects, because it may send a secret, and uses no proxy for requests to this machine.
pub(super) fn client(loopback: bool) -> Result<Client, Failure> {
    let builder = Client::builder().redirect(redirect::Policy::none()).timeout(WAIT_MAX);
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder
        .user_agent(concat!("mintmark/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Failure::Fault(format!("cannot make requests: {}", chain(&error))))
}

/// Fetches keys and status lists for the verifier.
pub(super) struct Transport(pub(super) Client);

impl Fetch for Transport {
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a> {
        Box::pin(async move {
            let failed = |error: reqwest::Error| FetchError(chain(&error));
            let asked = self.0.get(request.url).header(ACCEPT, request.accept);
            let reply = asked.send().await.map_err(failed)?;
            let cache_control = reply.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
            Ok(Fetched {
                status: reply.status().as_u16(),
                cache_control: cache_control.map(str::to_owned),
                body: reply.bytes().await.map_err(failed)?.to_vec(),
                ..Fetched::default()
            })
        })
    }
}

/// An error with its causes, which say what happened.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
