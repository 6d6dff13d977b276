//! Recorded, revoked and denied access tokens, and status lists.

mod issuing;
mod marks;
mod recorded;
mod revoking;
mod status_lists;
