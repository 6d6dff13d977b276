//! Recorded, revoked and denied access tokens, and status lists.

mod issuing;
mod lists;
mod marks;
mod recorded;
mod revoking;
mod status_lists;
