//! The proof of a client's identity (RFC 6749 §2.3).
//!
//! A recorded token is written only if the proof it was requested with is still valid, so the proof is passed on to the
//! statement that writes it.

use crate::model::inline_id::SecretId;

/// The credential with which a client authenticated. Each kind of credential has its own variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// One of its client secrets (RFC 6749 §2.3.1).
    Secret {
        /// Which one.
        secret_id: SecretId,
    },
}
