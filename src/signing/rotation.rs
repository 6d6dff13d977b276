//! How one signing key follows another: which steps are due, as a pure function of the stored keys and the time.
//!
//! For the job that rotates keys and for `registry`, which both work in one transaction: take the lock on key changes,
//! read the keys, take every step that is due, then do what was asked. Nothing here reads a clock or touches storage.
//!
//! The rules (phases: [`Phase`]):
//! - Of each pair of algorithm and class at most one key is active and at most one pending. Once a pair has an active
//!   key it always has one: a key stops signing in the same step in which its successor takes over.
//! - The first key of a pair signs at once. A later one is published long enough before that verifiers know it.
//! - A pending key whose time has come signs from that instant on ([`signing_key`]), on every replica and whether or
//!   not the step that says so has been taken yet.
//! - A key that stops signing loses its private half. It is published for as long as a token it signed may live.
//! - A key never goes back a phase.

use std::fmt;

use crate::model::clock::UnixSeconds;
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::model::token::STATELESS_LIFETIME_MAX;

/// How far replicas may be apart, in seconds: by their clocks, and by what they have read of the last change. So long
/// another replica may sign with a key after it was retired, or before it is due.
pub const REPLICA_MARGIN: i64 = 60;

const DAY: i64 = 86_400;

/// The settings that rotation depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `keys.pending_seconds`: how long a key is published before it signs.
    pub pending_seconds: i64,
    /// `keys.jwks_max_age_seconds`: for how long verifiers keep the published keys.
    pub jwks_max_age_seconds: i64,
    /// `keys.rotate_every_days`: how old a key of the expiring class gets. `None`: replaced by call only.
    pub rotate_every_days: Option<i64>,
    /// `tokens.signing_alg`: has a key of each class from the first start.
    pub signing_alg: Alg,
    /// Whether this build makes RSA keys ([`super::GENERATES_RSA`]).
    pub generates_rsa: bool,
}

impl Policy {
    /// How long a new key is published before it signs, in seconds.
    fn lead(&self) -> i64 {
        self.pending_seconds.max(self.jwks_max_age_seconds)
    }

    fn generates(&self, alg: Alg) -> bool {
        self.generates_rsa || !alg.is_rsa()
    }

    /// When a successor of `active` must be made, so that it takes over when `active` is old enough.
    fn successor_at(&self, active: &SigningKey) -> Option<UnixSeconds> {
        let days = self.rotate_every_days.filter(|_| active.use_for == UseFor::Expiring)?;
        Some(active.activates_at + days * DAY - self.lead())
    }
}

/// The phase a new key begins in, and when it may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Active for the first key of a pair, else pending.
    pub phase: Phase,
    /// When it signs from.
    pub activates_at: UnixSeconds,
}

/// A step that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a key and store it in this place.
    Generate {
        /// Its algorithm.
        alg: Alg,
        /// Its class.
        use_for: UseFor,
        /// Where its life begins.
        placement: Placement,
    },
    /// The pending key takes over; the active one of its pair retires and loses its private half.
    Activate {
        /// The pending key.
        kid: String,
    },
    /// No token it signed can live any more: it leaves the published set.
    Gone {
        /// The retiring key.
        kid: String,
    },
}

impl Step {
    /// The records that this step changes, as they are after it, in the order in which to write them (never two active
    /// of a pair in between). Empty for [`Step::Generate`].
    pub fn changes(&self, keys: &[SigningKey], now: UnixSeconds) -> Vec<SigningKey> {
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

/// A rotation that is due and that only a person can do, since this build makes no keys of the algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// A pair that must have a key has none.
    Missing {
        /// The algorithm.
        alg: Alg,
        /// The class.
        use_for: UseFor,
    },
    /// A key should have a successor by now.
    Overdue {
        /// The key.
        kid: String,
        /// Its algorithm.
        alg: Alg,
        /// When it is as old as it should get.
        due_at: UnixSeconds,
    },
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alg, use_for) = match self {
            Self::Missing { alg, use_for } => {
                write!(f, "there is no {alg} key for {} tokens", use_for.as_str())?;
                (alg, use_for)
            }
            Self::Overdue { kid, alg, .. } => {
                write!(f, "signing key {kid} is due for replacement")?;
                (alg, &UseFor::Expiring)
            }
        };
        write!(
            f,
            ": this build makes no {alg} keys, so import one with POST /v1/signing-keys \
             {{\"alg\":\"{alg}\",\"use_for\":\"{}\",\"private_key_pem\":…}}",
            use_for.as_str()
        )
    }
}

/// What is due, and when to ask again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The steps to take now, in this order.
    pub steps: Vec<Step>,
    /// What a person has to do.
    pub by_hand: Vec<ByHand>,
    /// When the next step will be due: now, as long as there are steps. `None` if only a revocation can bring one.
    pub next_due_at: Option<UnixSeconds>,
}

/// What is due at `now`. `keys` are all that are not gone; `has_live_tokens` tells of a kid whether a recorded token
/// that it signed still lives.
pub fn due(
    keys: &[SigningKey],
    has_live_tokens: impl Fn(&str) -> bool,
    now: UnixSeconds,
    policy: &Policy,
) -> Due {
    let mut due = Due::default();
    let mut later = Vec::new();
    for alg in Alg::ALL {
        for use_for in UseFor::ALL {
            let of = |phase| keys.iter().find(|key| key.phase == phase && is_pair(key, alg, use_for));
            match (of(Phase::Active), of(Phase::Pending)) {
                (Some(_), Some(next)) if next.activates_at > now => later.push(next.activates_at),
                // Without an active key there is nobody to wait for.
                (_, Some(next)) => due.steps.push(Step::Activate { kid: next.kid.clone() }),
                (Some(active), None) => match policy.successor_at(active) {
                    Some(at) if at > now => later.push(at),
                    Some(_) if policy.generates(alg) => {
                        let placement =
                            Placement { phase: Phase::Pending, activates_at: now + policy.lead() };
                        due.steps.push(Step::Generate { alg, use_for, placement });
                    }
                    Some(at) => {
                        let due_at = at + policy.lead();
                        due.by_hand.push(ByHand::Overdue { kid: active.kid.clone(), alg, due_at });
                    }
                    None => {}
                },
                (None, None) if alg != policy.signing_alg => {}
                (None, None) if policy.generates(alg) => {
                    let placement = Placement { phase: Phase::Active, activates_at: now };
                    due.steps.push(Step::Generate { alg, use_for, placement });
                }
                (None, None) => due.by_hand.push(ByHand::Missing { alg, use_for }),
            }
        }
    }
    for key in keys {
        match gone_at(key) {
            Some(at) if at > now => later.push(at),
            Some(_) if !has_live_tokens(&key.kid) => due.steps.push(Step::Gone { kid: key.kid.clone() }),
            _ => {}
        }
    }
    due.next_due_at = if due.steps.is_empty() { later.into_iter().min() } else { Some(now) };
    due
}

/// Where a key begins that is asked for by call. The steps that are due must have been taken before.
pub fn place(
    keys: &[SigningKey],
    alg: Alg,
    use_for: UseFor,
    now: UnixSeconds,
    policy: &Policy,
) -> Result<Placement, AlreadyPending> {
    let mut pair = keys.iter().filter(|key| is_pair(key, alg, use_for));
    if let Some(next) = pair.clone().find(|key| key.phase == Phase::Pending) {
        return Err(AlreadyPending { kid: next.kid.clone(), activates_at: next.activates_at });
    }
    Ok(if pair.any(|key| key.phase == Phase::Active) {
        Placement { phase: Phase::Pending, activates_at: now + policy.lead() }
    } else {
        Placement { phase: Phase::Active, activates_at: now }
    })
}

/// A pair has a pending key already; there may be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "signing key {kid} of the same alg and use_for is already pending and takes over at {}: wait for it, or delete it",
    crate::model::clock::to_rfc3339(*activates_at)
)]
pub struct AlreadyPending {
    /// The pending key.
    pub kid: String,
    /// When it takes over.
    pub activates_at: UnixSeconds,
}

/// Whether a person may delete `key` at `now`, of whose tokens `live_tokens` recorded ones live; its record as it is
/// after that.
pub fn deleted(key: &SigningKey, live_tokens: i64, now: UnixSeconds) -> Result<SigningKey, NotDeletable> {
    match key.phase {
        Phase::Gone => Err(NotDeletable::Gone),
        Phase::Active => Err(NotDeletable::Signing),
        // On a replica whose clock is ahead it may sign already.
        Phase::Pending if key.activates_at <= now + REPLICA_MARGIN => Err(NotDeletable::Signing),
        Phase::Pending => Ok(gone(key, now)),
        Phase::Retiring if live_tokens > 0 => Err(NotDeletable::LiveTokens(live_tokens)),
        Phase::Retiring => match gone_at(key) {
            Some(at) if at <= now => Ok(gone(key, now)),
            at => Err(NotDeletable::MayBeAlive(at.unwrap_or(i64::MAX))),
        },
    }
}

/// Why a key may not be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDeletable {
    /// It left the published set before.
    #[error("this key is gone already")]
    Gone,
    /// It signs, or will within [`REPLICA_MARGIN`].
    #[error(
        "this key signs tokens, or is about to: make its successor with POST /v1/signing-keys; when that has taken over and every \
         token this key signed is dead, this key goes by itself"
    )]
    Signing,
    /// Recorded tokens depend on it.
    #[error("{0} live tokens are signed by this key: revoke them first, or wait until they expire")]
    LiveTokens(i64),
    /// Tokens without a row may depend on it until then.
    #[error(
        "tokens signed by this key may live until {}: wait until then, and it goes by itself",
        crate::model::clock::to_rfc3339(*.0)
    )]
    MayBeAlive(UnixSeconds),
}

/// The key that signs at `now`: a pending one from the instant it is due, else the active one.
pub fn signing_key(keys: &[SigningKey], alg: Alg, use_for: UseFor, now: UnixSeconds) -> Option<&SigningKey> {
    let signs = |key: &&SigningKey| match key.phase {
        Phase::Pending => key.activates_at <= now,
        Phase::Active => true,
        Phase::Retiring | Phase::Gone => false,
    };
    keys.iter()
        .filter(|key| is_pair(key, alg, use_for))
        .filter(signs)
        .max_by_key(|key| (key.phase == Phase::Pending, key.activates_at))
}

/// From when on a retiring key may go, if no recorded token of it lives; `None` for one that is not retiring. Every
/// never-expiring token is recorded, so a key of that class waits only for replicas.
fn gone_at(key: &SigningKey) -> Option<UnixSeconds> {
    let lifetime = match key.use_for {
        UseFor::Expiring => STATELESS_LIFETIME_MAX,
        UseFor::NeverExpiring => 0,
    };
    key.retired_at.filter(|_| key.phase == Phase::Retiring).map(|at| at + lifetime + REPLICA_MARGIN)
}

fn is_pair(key: &SigningKey, alg: Alg, use_for: UseFor) -> bool {
    key.alg == alg && key.use_for == use_for
}

fn activated(key: &SigningKey, now: UnixSeconds) -> SigningKey {
    let activates_at = key.activates_at.min(now);
    SigningKey { phase: Phase::Active, activates_at, version: key.version + 1, ..key.clone() }
}

fn retired(key: &SigningKey, now: UnixSeconds) -> SigningKey {
    // `now`, not the instant its successor was due: until this step a replica may have signed with it.
    let version = key.version + 1;
    SigningKey { phase: Phase::Retiring, sealed_private: None, retired_at: Some(now), version, ..key.clone() }
}

fn gone(key: &SigningKey, now: UnixSeconds) -> SigningKey {
    let (retired_at, version) = (key.retired_at.or(Some(now)), key.version + 1);
    SigningKey { phase: Phase::Gone, sealed_private: None, retired_at, version, ..key.clone() }
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
