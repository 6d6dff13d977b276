//! API clients, their secrets, and what the credential cache holds of them.

mod api_clients;
mod credentials;
mod ids;
mod rows;
mod secrets;

use super::engine::Statements;

pub use api_clients::ClientFilter;
pub use credentials::StoredCredentials;

/// The shared statements of this folder.
pub(super) const STATEMENTS: &[Statements] =
    &[api_clients::STATEMENTS, credentials::STATEMENTS, ids::STATEMENTS, secrets::STATEMENTS];
