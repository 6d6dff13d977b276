//! Products and workspaces.

mod products;
mod workspaces;

use super::engine::Statements;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[products::STATEMENTS, workspaces::STATEMENTS];
