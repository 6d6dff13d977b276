//! What the tests stand on: a database for each test, on either engine.

mod database;
mod postgres;

pub(crate) use database::{Engine, TestDatabase, on_both_engines};
