//! Access tokens: recorded, revoked and denied ones, and the status lists that publish their state.

mod groups;
mod issuing;
mod list;
mod live;
mod marks;
mod plans;
mod recorded;
mod revoking;
mod status_lists;

use super::engine::Statements;

pub use issuing::{IssueCheck, IssueGuard};
pub use list::{ListedTokens, TokenFilter};
pub use live::Ending;
pub use recorded::TokenState;
pub use revoking::Revoked;
pub use status_lists::StoredStatusList;

/// The statements of this folder that both engines run as they are.
pub(super) const STATEMENTS: &[Statements] = &[
    issuing::STATEMENTS,
    live::STATEMENTS,
    marks::STATEMENTS,
    recorded::STATEMENTS,
    revoking::STATEMENTS,
    status_lists::STATEMENTS,
];
