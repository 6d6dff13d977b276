//! The phases of one key ([`Phase`]): its record as it enters each phase, and until when tokens that it signed may be live.

use crate::model::clock::UnixSeconds;
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::model::token::STATELESS_LIFETIME_MAX;

/// How far replicas may be apart, in seconds: by their clocks, and by how late they learn of a change. For this long another
/// replica may sign with a key after the key was retired, or before it is due.
pub(super) const REPLICA_MARGIN: i64 = 60;

pub(super) fn is_pair(key: &SigningKey, alg: Alg, use_for: UseFor) -> bool {
    key.alg == alg && key.use_for == use_for
}

pub(super) fn activated(key: &SigningKey, now: UnixSeconds) -> SigningKey {
    let activates_at = key.activates_at.min(now);
    SigningKey { phase: Phase::Active, activates_at, version: key.version + 1, ..key.clone() }
}

pub(super) fn retired(key: &SigningKey, now: UnixSeconds) -> SigningKey {
    // `now`, not the instant at which its successor was due: until this step a replica may have signed with the old key.
    let version = key.version + 1;
    SigningKey { phase: Phase::Retiring, sealed_private: None, retired_at: Some(now), version, ..key.clone() }
}

/// The record of a key that is no longer published.
pub(in crate::signing) fn gone(key: &SigningKey, now: UnixSeconds) -> SigningKey {
    let (retired_at, version) = (key.retired_at.or(Some(now)), key.version + 1);
    SigningKey { phase: Phase::Gone, sealed_private: None, retired_at, version, ..key.clone() }
}

/// From when on a retiring key may leave the published set, if no recorded token of it is live; `None` for a key in any
/// other phase. Every never-expiring token is recorded, so a key of that class waits only for replicas.
pub(super) fn gone_at(key: &SigningKey) -> Option<UnixSeconds> {
    let lifetime = match key.use_for {
        UseFor::Expiring => STATELESS_LIFETIME_MAX,
        UseFor::NeverExpiring => 0,
    };
    key.retired_at.filter(|_| key.phase == Phase::Retiring).map(|at| at + lifetime + REPLICA_MARGIN)
}

/// The keys as they are in force at `now`: if a pending key is due, as they will be stored once it has taken over.
pub(in crate::signing) fn in_force(keys: Vec<SigningKey>, now: UnixSeconds) -> Vec<SigningKey> {
    let is_due = |key: &SigningKey| key.phase == Phase::Pending && key.activates_at <= now;
    let due: Vec<(Alg, UseFor)> =
        keys.iter().filter(|key| is_due(key)).map(|key| (key.alg, key.use_for)).collect();
    let as_in_force = |key: SigningKey| match key.phase {
        Phase::Pending if is_due(&key) => activated(&key, now),
        Phase::Active if due.contains(&(key.alg, key.use_for)) => retired(&key, now),
        _ => key,
    };
    keys.into_iter().map(as_in_force).collect()
}

/// Until when a key may have signed. A client's generation that began later contains no token that the key signed.
pub(in crate::signing) fn signed_until(key: &SigningKey) -> UnixSeconds {
    key.retired_at.map_or(UnixSeconds::MAX, |at| at.saturating_add(REPLICA_MARGIN))
}

/// Whether a stateless token that the key signed may be live.
pub(in crate::signing) fn may_have_live_stateless_tokens(key: &SigningKey, now: UnixSeconds) -> bool {
    key.use_for == UseFor::Expiring
        && match key.phase {
            Phase::Pending => key.activates_at <= now + REPLICA_MARGIN,
            Phase::Active => true,
            Phase::Retiring | Phase::Gone => {
                key.retired_at.is_none_or(|at| at + STATELESS_LIFETIME_MAX + REPLICA_MARGIN > now)
            }
        }
}

/// The key that signs at `now`: a pending one from the instant it is due, else the active one. Tests compare the ring with
/// this rule.
#[cfg(test)]
pub(in crate::signing) fn signing_key(
    keys: &[SigningKey],
    alg: Alg,
    use_for: UseFor,
    now: UnixSeconds,
) -> Option<&SigningKey> {
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
