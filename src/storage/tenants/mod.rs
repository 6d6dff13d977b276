//! Products and workspaces.

mod products;
mod workspaces;

use super::engine::Statements;

/// The shared statements of this folder.
pub(super) const STATEMENTS: &[Statements] = &[products::STATEMENTS, workspaces::STATEMENTS];
