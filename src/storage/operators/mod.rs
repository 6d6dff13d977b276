//! Operators: their records and roles, ways in, setup links, sessions, and what a sign-in keeps between two steps.

mod links;
mod people;
mod sessions;
mod states;
mod ways;

use super::engine::Statements;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] =
    &[links::STATEMENTS, people::STATEMENTS, sessions::STATEMENTS, states::STATEMENTS, ways::STATEMENTS];
