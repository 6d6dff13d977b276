//! Mintmark issues the access tokens that machines use to call a company's products.

pub mod config;
pub mod keys;
pub mod model;
pub mod registry;
pub mod storage;
pub mod telemetry;
