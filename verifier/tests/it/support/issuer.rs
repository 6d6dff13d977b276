//! An issuer that answers from memory and counts what it is asked, and a clock that stands still until it is
//! moved.

use super::{ISSUER, NOW, TestKey, keys};
use mintmark_verifier::{Fetch, FetchError, FetchFuture, Fetched};
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) const JWKS_URI: &str = "https://tokens.example.com/.well-known/jwks.json";
pub(crate) const METADATA: &str = "https://tokens.example.com/.well-known/oauth-authorization-server";

/// Answers `Fetch`; clones share their state.
#[derive(Clone)]
pub(crate) struct FakeIssuer(Arc<Mutex<State>>);

struct State {
    /// Answers by URL; another URL answers 404.
    answers: Vec<(String, Fetched)>,
    /// While set, nothing is reached.
    down: bool,
    /// While set, an answer never comes.
    hangs: bool,
    asked: Vec<String>,
}

impl FakeIssuer {
    /// Publishes the usual keys under the usual issuer.
    pub(crate) fn new() -> Self {
        let state = State { answers: Vec::new(), down: false, hangs: false, asked: Vec::new() };
        let issuer = Self(Arc::new(Mutex::new(state)));
        issuer.answer(METADATA, json!({"issuer": ISSUER, "jwks_uri": JWKS_URI}).to_string());
        issuer.publish(&keys().published());
        issuer
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

    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.0.lock().unwrap().hangs = hangs;
    }

    /// What was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// How often the key set was asked for.
    pub(crate) fn key_fetches(&self) -> usize {
        self.asked().iter().filter(|url| *url == JWKS_URI).count()
    }
}

impl Fetch for FakeIssuer {
    fn get<'a>(&'a self, url: &'a str) -> FetchFuture<'a> {
        Box::pin(async move {
            let (answer, hangs) = {
                let mut state = self.0.lock().unwrap();
                state.asked.push(url.to_owned());
                let answer = if state.down {
                    Err(FetchError("connection refused".to_owned()))
                } else {
                    let known = state.answers.iter().find(|(known, _)| known == url);
                    Ok(known.map_or(Fetched { status: 404, ..Fetched::default() }, |(_, a)| a.clone()))
                };
                (answer, state.hangs)
            };
            // Others get their turn while this one waits, as on a network.
            tokio::task::yield_now().await;
            if hangs {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

/// A clock; clones show the same time.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// A clock that stands at [`NOW`].
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
