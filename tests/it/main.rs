//! All tests of the service, in one binary: a folder for each room, and `support` for what they stand on.
//!
//! What touches a database is an `async fn name(engine: Engine)` named in `on_both_engines!`, which makes of it the tests
//! `name::sqlite` and `name::postgres`. Each has a database of its own. PostgreSQL runs for as long as this process, on
//! a socket in a temporary folder; only its programs need be installed. What must wait for another transaction is proved
//! by `outcome_after`, never by the clock.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, and so do the functions it is made of"
)]

mod architecture;
mod cli;
mod conformance;
mod contract;
mod manage;
mod oauth;
mod services;
mod storage;
mod support;
