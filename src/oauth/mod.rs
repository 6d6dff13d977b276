//! The protocol door: token endpoint, key set, metadata. Read `authenticate` first: it is the only way to hold a
//! client, and every endpoint that asks who is calling takes what it gives.

pub mod authenticate;
mod cached;
pub mod error;
mod form;
pub mod jwks;
pub mod metadata;
pub mod token;
mod unread;
