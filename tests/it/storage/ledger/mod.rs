//! Audit events, saved replies and the change counter.

mod audit;
mod changes;
mod heartbeat;
mod idempotency;
