//! An issuer that answers from memory and records the requests, and a clock that the test moves.

use super::{ISSUER, NOW, TestKey, b64, keys, list_claims, slots};
use mintmark_verifier::{Fetch, FetchError, FetchFuture, Fetched, Request};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) const JWKS_URI: &str = "https://tokens.example.com/.well-known/jwks.json";
pub(crate) const METADATA: &str = "https://tokens.example.com/.well-known/oauth-authorization-server";
/// The list of the usual token.
pub(crate) const LIST: &str = "https://tokens.example.com/oauth2/status-lists/3";

/// Answers `Fetch`; clones share their state.
#[derive(Clone)]
pub(crate) struct FakeIssuer(Arc<Mutex<State>>);

struct State {
    /// Answers by URL; all other URLs answer 404.
    answers: Vec<(String, Fetched)>,
    /// If set, no connection succeeds.
    down: bool,
    /// If set, there is never an answer.
    hangs: bool,
    /// How long an answer takes, and the clock to advance.
    takes: Option<(i64, TestClock)>,
    asked: Vec<Asked>,
}

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) url: String,
    pub(crate) accept: &'static str,
    pub(crate) if_none_match: Option<String>,
}

impl FakeIssuer {
    /// Publishes the usual keys under the usual issuer, and a list in which the usual token is valid.
    pub(crate) fn new() -> Self {
        let state = State { answers: Vec::new(), down: false, hangs: false, takes: None, asked: Vec::new() };
        let issuer = Self(Arc::new(Mutex::new(state)));
        issuer.answer(METADATA, json!({"issuer": ISSUER, "jwks_uri": JWKS_URI}).to_string());
        issuer.publish(&keys().published());
        issuer.publish_list(&list_claims(&slots(2, &[])));
        issuer
    }

    /// Publishes the usual keys with a `max-age` of months.
    pub(crate) fn publish_long_lived(&self) {
        let jwks: Vec<_> = keys().published().iter().map(|key| &key.jwk).collect();
        let body = json!({"keys": jwks}).to_string().into_bytes();
        let cache_control = Some("max-age=10000000".to_owned());
        self.respond(JWKS_URI, Fetched { status: 200, cache_control, body, ..Fetched::default() });
    }

    /// Publishes a list by the usual key, at the URI of its `sub`, with an `ETag` that depends on its content.
    pub(crate) fn publish_list(&self, claims: &Value) {
        let (url, body) = (claims["sub"].as_str().unwrap(), keys().es256.list(claims).into_bytes());
        let etag = Some(format!("\"{}\"", b64(ring::digest::digest(&ring::digest::SHA256, &body))));
        self.respond(url, Fetched { status: 200, etag, body, ..Fetched::default() });
    }

    /// Replaces the key set.
    pub(crate) fn publish(&self, keys: &[&TestKey]) {
        let jwks: Vec<_> = keys.iter().map(|key| &key.jwk).collect();
        self.answer(JWKS_URI, json!({"keys": jwks}).to_string());
    }

    /// Sets what `url` answers, with status 200.
    pub(crate) fn answer(&self, url: &str, body: impl Into<Vec<u8>>) {
        self.respond(url, Fetched { status: 200, body: body.into(), ..Fetched::default() });
    }

    /// Sets what `url` answers.
    pub(crate) fn respond(&self, url: &str, answer: Fetched) {
        let mut state = self.0.lock().unwrap();
        state.answers.retain(|(known, _)| known != url);
        state.answers.push((url.to_owned(), answer));
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    /// Each answer advances `clock` by `seconds`.
    pub(crate) fn set_slow(&self, seconds: i64, clock: &TestClock) {
        self.0.lock().unwrap().takes = Some((seconds, clock.clone()));
    }

    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.0.lock().unwrap().hangs = hangs;
    }

    /// The requested URLs, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|asked| asked.url).collect()
    }

    /// The requests, in order.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    /// How often a status list was requested.
    pub(crate) fn list_fetches(&self) -> usize {
        self.asked().iter().filter(|url| url.contains("/status-lists/")).count()
    }

    /// How often the key set was requested.
    pub(crate) fn key_fetches(&self) -> usize {
        self.asked().iter().filter(|url| *url == JWKS_URI).count()
    }
}

impl Fetch for FakeIssuer {
    fn get<'a>(&'a self, request: Request<'a>) -> FetchFuture<'a> {
        Box::pin(async move {
            let (answer, hangs, takes) = {
                let mut state = self.0.lock().unwrap();
                let Request { url, accept, if_none_match, .. } = request;
                let if_none_match = if_none_match.map(str::to_owned);
                state.asked.push(Asked { url: url.to_owned(), accept, if_none_match: if_none_match.clone() });
                let answer = if state.down {
                    Err(FetchError("connection refused".to_owned()))
                } else {
                    let known = state.answers.iter().find(|(known, _)| known == url);
                    let answer =
                        known.map_or(Fetched { status: 404, ..Fetched::default() }, |(_, a)| a.clone());
                    if answer.etag.is_some() && answer.etag == if_none_match {
                        Ok(Fetched { status: 304, body: Vec::new(), ..answer })
                    } else {
                        Ok(answer)
                    }
                };
                (answer, state.hangs, state.takes.clone())
            };
            // Lets other tasks run, as a real network would.
            tokio::task::yield_now().await;
            if hangs {
                std::future::pending::<()>().await;
            }
            if let Some((seconds, clock)) = takes {
                clock.advance(seconds);
            }
            answer
        })
    }
}

/// A clock; clones show the same time.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// A clock that shows [`NOW`].
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}
