//! What is written together with a change, in its transaction: audit event, saved reply and change counter. Also the upkeep of
//! the audit tree, the names of those who make changes, and the heartbeat.

mod audit;
mod audit_tree;
mod audit_upkeep;
mod authors;
mod changes;
mod heartbeat;
mod idempotency;

use super::engine::Statements;

pub use audit::AuditFilter;
pub use audit_tree::{AuditTree, StoredCheckpoint, StoredLeaf, StoredNode};
pub use audit_upkeep::Numbered;
pub use changes::{Change, ChangeWatch, Changes};
pub use idempotency::StoredReply;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[
    audit::STATEMENTS,
    audit_tree::STATEMENTS,
    audit_upkeep::STATEMENTS,
    authors::STATEMENTS,
    changes::STATEMENTS,
    heartbeat::STATEMENTS,
    idempotency::STATEMENTS,
];
