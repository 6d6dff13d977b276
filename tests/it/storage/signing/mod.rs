//! Signing keys and the root key.

mod keys;
mod root_key;
