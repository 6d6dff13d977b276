//! The rotation of signing keys: which steps are due, as a pure function of the stored keys and the time.
//!
//! For [`super::rotate`] and the other changes of keys, which work in one transaction each: take the lock on key changes,
//! read the keys, take every step that is due, then do what was asked. Nothing here reads a clock or touches storage.
//!
//! The rules (phases: [`Phase`]):
//! - For each pair of algorithm and class at most one key is active and at most one pending. No step takes the active
//!   key from a pair and leaves it without one: a key stops signing in the step in which its successor takes over.
//! - The first key of a pair signs at once. A later one is published long enough before it signs that verifiers know it.
//! - A pending key signs from its `activates_at` on, on every replica, whether or not the step that makes it active has
//!   been taken yet.
//! - A key that stops signing loses its private key. It is published for as long as a token it signed may be live.
//! - A key never goes back a phase.

mod deletion;
mod phases;
mod step;

use super::missing_key::MissingKey;
use crate::model::clock::UnixSeconds;
use crate::model::key::{Alg, Phase, SigningKey, UseFor};

pub(super) use deletion::{NotDeletable, deleted};
#[cfg(test)]
pub(super) use phases::signing_key;
pub(super) use phases::{gone, in_force, may_have_live_stateless_tokens, signed_until};
pub(super) use step::{ManualStep, Step};

const DAY: i64 = 86_400;

/// The settings that rotation depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// `keys.pending_seconds`: how long a key is published before it signs.
    pub(super) pending_seconds: i64,
    /// `keys.jwks_max_age_seconds`: for how long verifiers keep the published keys.
    pub(super) jwks_max_age_seconds: i64,
    /// `keys.rotate_every_days`: the age at which an active key of the expiring class is replaced. `None`: only administrators
    /// replace it.
    pub(super) rotate_every_days: Option<i64>,
    /// `tokens.signing_alg`: a key is generated for each class that has no active or pending key of this algorithm.
    pub(super) signing_alg: Alg,
    /// Whether this build generates RSA keys ([`super::GENERATES_RSA`]).
    pub(super) generates_rsa: bool,
}

impl Policy {
    /// How long a new key is published before it signs, in seconds.
    fn lead(&self) -> i64 {
        self.pending_seconds.max(self.jwks_max_age_seconds)
    }

    fn generates(&self, alg: Alg) -> bool {
        self.generates_rsa || !alg.is_rsa()
    }

    /// When a successor of `active` must be generated, so that it takes over when `active` is old enough.
    fn successor_at(&self, active: &SigningKey) -> Option<UnixSeconds> {
        let days = self.rotate_every_days.filter(|_| active.use_for == UseFor::Expiring)?;
        Some(active.activates_at + days * DAY - self.lead())
    }
}

/// The first phase of a new key, and when it may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// Active for the first key of a pair, else pending.
    pub(super) phase: Phase,
    /// From when it signs.
    pub(super) activates_at: UnixSeconds,
}

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// The steps to take now, in this order.
    pub(super) steps: Vec<Step>,
    /// The steps that only a person can take.
    pub(super) manual: Vec<ManualStep>,
}

/// What is due at `now`. `keys` are all published ones; `has_live_tokens` says whether a recorded token that was signed with
/// a `kid` is live.
pub(super) fn due(
    keys: &[SigningKey],
    has_live_tokens: impl Fn(&str) -> bool,
    now: UnixSeconds,
    policy: &Policy,
) -> Due {
    let mut due = Due::default();
    for alg in Alg::ALL {
        for use_for in UseFor::ALL {
            let of = |phase| keys.iter().find(|key| key.phase == phase && phases::is_pair(key, alg, use_for));
            match (of(Phase::Active), of(Phase::Pending)) {
                (Some(_), Some(next)) if next.activates_at > now => {}
                // Without an active key there is no reason to wait.
                (_, Some(next)) => due.steps.push(Step::Activate { kid: next.kid.clone() }),
                (Some(active), None) => match policy.successor_at(active) {
                    Some(at) if at > now => {}
                    Some(_) if policy.generates(alg) => {
                        let placement =
                            Placement { phase: Phase::Pending, activates_at: now + policy.lead() };
                        due.steps.push(Step::Generate { alg, use_for, placement });
                    }
                    Some(at) => {
                        let due_at = at + policy.lead();
                        due.manual.push(ManualStep::Overdue { kid: active.kid.clone(), alg, due_at });
                    }
                    None => {}
                },
                (None, None) if alg != policy.signing_alg => {}
                (None, None) if policy.generates(alg) => {
                    let placement = Placement { phase: Phase::Active, activates_at: now };
                    due.steps.push(Step::Generate { alg, use_for, placement });
                }
                (None, None) => due.manual.push(ManualStep::Missing(MissingKey { alg, use_for })),
            }
        }
    }
    for key in keys {
        if phases::gone_at(key).is_some_and(|at| at <= now) && !has_live_tokens(&key.kid) {
            due.steps.push(Step::Gone { kid: key.kid.clone() });
        }
    }
    due
}

/// The first phase of a key that an administrator creates. The due steps must have been taken before.
pub(super) fn place(
    keys: &[SigningKey],
    alg: Alg,
    use_for: UseFor,
    now: UnixSeconds,
    policy: &Policy,
) -> Result<Placement, AlreadyPending> {
    let mut pair = keys.iter().filter(|key| phases::is_pair(key, alg, use_for));
    if let Some(next) = pair.clone().find(|key| key.phase == Phase::Pending) {
        return Err(AlreadyPending { kid: next.kid.clone(), activates_at: next.activates_at });
    }
    Ok(if pair.any(|key| key.phase == Phase::Active) {
        Placement { phase: Phase::Pending, activates_at: now + policy.lead() }
    } else {
        Placement { phase: Phase::Active, activates_at: now }
    })
}

/// The pair already has a pending key, and may have only one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "signing key {kid} of the same alg and use_for is pending and takes over at {}: wait until then, or delete it",
    crate::model::clock::to_rfc3339(*activates_at)
)]
pub(super) struct AlreadyPending {
    /// The pending key.
    pub(super) kid: String,
    /// When it takes over.
    pub(super) activates_at: UnixSeconds,
}

#[cfg(test)]
mod tests;
