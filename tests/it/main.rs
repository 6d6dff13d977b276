//! All tests of the service, in one binary: a folder for each room (a module directly in `src`), and `support` for what they
//! share.
//!
//! A test that needs a database is an `async fn name(engine: Engine)` listed in `on_both_engines!`, which makes the tests
//! `name::sqlite` and `name::postgres` of it. Each has a database of its own. PostgreSQL runs as long as this process, on a
//! socket in a temporary folder; only its programs must be installed. `outcome_after` proves that work waits for another
//! transaction, without looking at the time.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, and so do the functions it is made of"
)]

mod app;
mod architecture;
mod cli;
mod conformance;
mod console;
mod contract;
mod delivery;
mod http;
mod manage;
mod oauth;
mod outbound;
mod services;
mod storage;
mod support;
mod usage;
mod webhooks;
mod wording;
