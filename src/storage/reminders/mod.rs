//! Finds the secrets, API clients and tokens that end next, and stores up to which end reminders were made.

mod ending;
mod plans;
mod reached;

use super::engine::Statements;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[ending::STATEMENTS, reached::STATEMENTS];
