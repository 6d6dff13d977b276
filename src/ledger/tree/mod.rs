//! The audit trail as a tree that others can verify (RFC 6962, C2SP `tlog-checkpoint`): what `docs/audit.md` describes. A tree
//! is also called a log, as in RFC 6962, and `log` is its number.
//!
//! The transaction of a change adds its events ([`super::record`]). This folder has the hashes ([`hash`]), the key ([`keys`]),
//! a new tree with a new key ([`renew`]), the upkeep by one process at a time ([`number`], [`checkpoint`]), checkpoints as
//! signed notes ([`note`]), what requests for checkpoints and proofs are answered with ([`proof`], [`path`]), the export
//! ([`export`]), and the check of the whole trail ([`verify`]).

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
