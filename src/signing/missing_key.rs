//! A key that is missing, and the request that creates it. For readiness, the log, and the request that needed the key.

use std::fmt;

use super::GENERATES_RSA;
use crate::model::key::{Alg, UseFor};

/// No active key of this algorithm signs this class of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingKey {
    /// The algorithm.
    pub alg: Alg,
    /// The class.
    pub use_for: UseFor,
}

impl fmt::Display for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { alg, use_for } = *self;
        let tokens = match use_for {
            UseFor::Expiring => "expiring",
            UseFor::NeverExpiring => "never-expiring",
        };
        write!(f, "no active {alg} key signs {tokens} tokens: {}", how_to_create(alg, use_for))
    }
}

/// The request that creates such a key, or imports one if this build cannot generate it.
pub(super) fn how_to_create(alg: Alg, use_for: UseFor) -> String {
    let use_for = use_for.as_str();
    if GENERATES_RSA || !alg.is_rsa() {
        format!("create one with POST /v1/signing-keys {{\"alg\":\"{alg}\",\"use_for\":\"{use_for}\"}}")
    } else {
        format!(
            "this build cannot generate {alg} keys, so import one with POST /v1/signing-keys \
             {{\"alg\":\"{alg}\",\"use_for\":\"{use_for}\",\"private_key_pem\":…}}"
        )
    }
}
