//! Webhooks: their records, the keys that sign, and which of them get an event.

mod deliveries;
mod keys;
mod listeners;
mod records;

use super::engine::Statements;

pub use keys::WebhookKeys;
pub use listeners::Listener;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] =
    &[deliveries::STATEMENTS, keys::STATEMENTS, records::STATEMENTS, listeners::STATEMENTS];
