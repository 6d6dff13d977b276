//! What ends next, and how far the reminders have come.

mod ending;
mod plans;
mod reached;

use super::engine::Statements;

/// The shared statements of this folder.
pub(super) const STATEMENTS: &[Statements] = &[ending::STATEMENTS, reached::STATEMENTS];
