//! The OAuth endpoints: issue, introspect, verify and revoke tokens; key set, status lists and metadata. Read
//! `authenticate` first: every endpoint at which a client authenticates takes an `Authenticated` from it.

pub mod authenticate;
mod door;
pub mod error;
mod failures;
mod form;
pub mod introspect;
mod json_form;
pub mod jwks;
pub mod metadata;
mod nearby;
pub mod presented_token;
pub mod revoke;
pub mod status_lists;
pub mod token;
pub mod verify;

pub use door::Door;
pub(crate) use nearby::answer as answer_nearby;
