//! How API clients are used: counts by hour and day, the networks they were seen from, where each secret was last used from,
//! and the last refused requests.

mod adding;
mod failures;
mod reading;
mod rows;

use super::engine::Statements;

pub use reading::SecretUse;
pub use rows::{CountRow, FirstSeen, NetworkRow, SecretUseRow, SourceRow, UsageRows};

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[adding::STATEMENTS, failures::STATEMENTS, reading::STATEMENTS];
