//! Deliveries: what is sent to people and other systems about an event, queued in the transaction of the change.
//!
//! A row waits until it is sent or given up. A process that sends a row claims it first, for the time of a lease.

mod claiming;
mod listing;
mod purging;
mod queueing;

use super::engine::Statements;

pub use claiming::Next;
pub use listing::{Backlog, DeliveryFilter};

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] =
    &[claiming::STATEMENTS, listing::STATEMENTS, purging::STATEMENTS, queueing::STATEMENTS];
