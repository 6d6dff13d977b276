//! All tests of the service, in one binary: a folder for each room, and `support` for what they stand on.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, and so do the functions it is made of"
)]

mod architecture;
mod manage;
mod oauth;
mod registry;
mod storage;
mod support;
