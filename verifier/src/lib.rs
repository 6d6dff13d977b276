//! Verifies Mintmark access tokens offline, for services that are called with one.

pub mod claims;
mod error;
pub mod provider;

pub use claims::AccessTokenClaims;
pub use error::{Answer, VerifyError};
