//! Keys: the master key and what is sealed under it, the keys that sign tokens, and how one follows another.
//!
//! For `issuance` (sign with the active key), `registry` (secrets, cursors, sealed replies) and the doors that publish
//! the key set. Nothing here knows of storage or HTTP: rows come in and go out as [`crate::model::key::SigningKey`].
//!
//! From the outside in: [`master`] (one key outside the database) seals the root key ([`root`], [`seal`]), whose
//! subkeys seal the private halves of signing keys ([`key`]); [`rotation`] says when one follows another; [`ring`] is what a request reads.

pub mod master;
pub mod random;
pub mod root;
pub mod seal;
