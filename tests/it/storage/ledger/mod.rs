//! Audit events, saved replies and the change counter.

mod audit;
mod audit_tree;
mod authors;
mod changes;
mod heartbeat;
mod idempotency;
