//! Webhooks: their records, the keys that sign, and which of them get an event.

mod deliveries;
mod keys;
mod listeners;
mod records;

use super::engine::Statements;

pub use keys::WebhookKeys;
pub use listeners::Listener;

/// The shared statements of this folder.
pub(super) const STATEMENTS: &[Statements] =
    &[deliveries::STATEMENTS, keys::STATEMENTS, records::STATEMENTS, listeners::STATEMENTS];
