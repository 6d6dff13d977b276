//! Signing keys, and the root key that seals their private keys.

mod keys;
mod root_key;

use super::engine::Statements;

pub(super) use keys::of_key;
pub use root_key::SealedRoot;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[keys::STATEMENTS, root_key::STATEMENTS];
