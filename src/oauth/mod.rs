//! The protocol door: tokens are given, judged and given up here; key set, status lists and metadata are read here. Read
//! `authenticate` first: it is the only way to hold a client, and every endpoint that asks who is calling takes what it
//! gives.

pub mod authenticate;
mod door;
pub mod error;
mod form;
pub mod introspect;
pub mod jwks;
pub mod metadata;
pub mod presented_token;
pub mod revoke;
pub mod status_lists;
pub mod token;
pub mod verify;

pub use door::Door;
