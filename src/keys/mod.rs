//! Keys: the master key and what is sealed under it, the keys that sign tokens, and how one follows another.
//!
//! For `issuance` (sign with the active key), `registry` (secrets, cursors, sealed replies) and the doors that publish
//! the key set. Nothing here knows of storage or HTTP: rows come in and go out as [`crate::model::key::SigningKey`].
//!
//! From the outside in: [`master`] (one key outside the database) seals the root key ([`root`], [`seal`]), whose
//! subkeys seal the private halves of signing keys ([`key`]); [`rotation`] says when one follows another; [`ring`] is what a request reads.

mod der;
mod import;
mod jwk;
pub mod key;
pub mod master;
mod private_key;
pub mod provider;
pub mod random;
pub mod ring;
pub mod root;
pub mod rotation;
#[cfg(test)]
mod sample;
pub mod seal;
pub mod signing;

pub use import::ImportFault;
pub use jwk::PublicJwk;
pub use private_key::{GENERATES_RSA, MAX_SIGNATURE_LEN, SignError};
