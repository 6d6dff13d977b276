//! What a client proved its identity with (RFC 6749 §2.3).
//!
//! A recorded token is written only while the proof it was requested with still holds, so the proof travels with the
//! request down to the row.

use std::sync::Arc;

/// The credential that a client authenticated with. Every method adds a variant of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// One of its client secrets (RFC 6749 §2.3.1).
    Secret {
        /// Which one.
        secret_id: Arc<str>,
    },
}
