//! Audit events and their tree, the names of authors, saved replies, the change counter and the heartbeat.

mod audit;
mod audit_tree;
mod authors;
mod changes;
mod heartbeat;
mod idempotency;
