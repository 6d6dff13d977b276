//! The audit trail as a tree that others can verify (RFC 6962, C2SP `tlog-checkpoint`): what `docs/audit.md` describes.
//!
//! The transaction of a change adds its events ([`super::record`]); here are the hashes ([`hash`]), the key ([`keys`]), the
//! upkeep by one process at a time ([`number`], [`checkpoint`]), what doors answer with ([`proof`]), and the check of all of
//! it ([`verify`]).

mod checkpoint;
mod export;
mod hash;
mod keys;
mod note;
mod number;
mod path;
mod proof;
mod renew;
#[cfg(test)]
mod tests;
mod verify;

pub use export::ExportedEvent;
pub(crate) use hash::leaf_hash;
pub use note::{AuditKey, Checkpoint, NoteError};
pub use verify::{CheckedLog, Verification};
