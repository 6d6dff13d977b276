//! The verifier's tests, in one binary.

mod claims;
mod provider;
