//! The steps of a rotation: those that the service takes, and those that only a person can take.

use std::fmt;

use super::Placement;
use super::phases::{activated, gone, is_pair, retired};
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::signing::missing_key::{MissingKey, how_to_create};

/// A step that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::signing) enum Step {
    /// Generate a key and store it with this placement.
    Generate {
        /// Its algorithm.
        alg: Alg,
        /// Its class.
        use_for: UseFor,
        /// Its first phase, and from when it signs.
        placement: Placement,
    },
    /// The pending key takes over; the active one of its pair retires and loses its private key.
    Activate {
        /// The pending key.
        kid: String,
    },
    /// No token that the key signed can be live, so the key leaves the published set.
    Gone {
        /// The retiring key.
        kid: String,
    },
}

impl Step {
    /// The changed records after this step, in the order in which to write them: between two writes a pair never has two active
    /// keys. Empty for [`Step::Generate`].
    pub(in crate::signing) fn changes(&self, keys: &[SigningKey], now: UnixSeconds) -> Vec<SigningKey> {
        match self {
            Self::Generate { .. } => Vec::new(),
            Self::Activate { kid } => {
                let Some(next) = keys.iter().find(|key| key.kid == *kid) else { return Vec::new() };
                let before = keys.iter().filter(|key| is_pair(key, next.alg, next.use_for));
                let retired = before.filter(|key| key.phase == Phase::Active).map(|key| retired(key, now));
                retired.chain([activated(next, now)]).collect()
            }
            Self::Gone { kid } => {
                keys.iter().filter(|key| key.kid == *kid).map(|key| gone(key, now)).collect()
            }
        }
    }
}

/// A step that is due and that only a person can take, since this build does not generate keys of the algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::signing) enum ManualStep {
    /// A pair that must have a key has none.
    Missing(MissingKey),
    /// A key should have a successor by now.
    Overdue {
        /// The key.
        kid: String,
        /// Its algorithm.
        alg: Alg,
        /// When the key reaches the age at which it is to be replaced.
        due_at: UnixSeconds,
    },
}

impl fmt::Display for ManualStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::Overdue { kid, alg, due_at } => write!(
                f,
                "signing key {kid} is due for replacement at {}: {}",
                to_rfc3339(*due_at),
                how_to_create(*alg, UseFor::Expiring)
            ),
        }
    }
}
