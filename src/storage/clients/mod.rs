//! API clients, their secrets, and the data for the credential cache.

mod api_clients;
mod credentials;
mod expiring;
mod ids;
mod list;
mod names;
mod plans;
mod rows;
mod secrets;
mod statements;

use super::engine::Statements;

pub use credentials::StoredCredentials;
pub use list::{ClientFilter, ClientOrder, ClientSort};

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[
    api_clients::STATEMENTS,
    credentials::STATEMENTS,
    expiring::STATEMENTS,
    ids::STATEMENTS,
    secrets::STATEMENTS,
];
