//! Encrypts secrets at rest: the master key outside the database ([`master`]) seals the root key inside it ([`root`],
//! [`seal`]), and a subkey for each purpose is derived from the root key. Random bytes come from [`random`].
//!
//! Nothing here depends on storage, signing or HTTP.

pub mod master;
pub mod random;
pub mod root;
pub mod seal;
