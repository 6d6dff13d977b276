//! All integration tests of the service, in one binary. A folder is named after the module directly in `src` that it tests.
//! `contract` compares the service with `openapi.yaml`, and `support` has what the tests share. The files here check the
//! repository itself.
//!
//! A test that needs a database is an `async fn name(engine: Engine)` listed in `on_both_engines!`, which turns it into the
//! tests `name::sqlite` and `name::postgres`, each with its own database. The tests start a PostgreSQL server on a socket in a
//! temporary folder and stop it when they end; only its programs must be installed. `outcome_after` proves, without sleeping,
//! that one transaction waits for another.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and the functions that they call fail by panicking"
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
