//! The keys as requests read them: a snapshot that is replaced as a whole and read without a lock.
//!
//! For `issuance` (the key to sign with, the keys to verify our own tokens), the JWK Set endpoint (RFC 7517 §5) and
//! metrics. Loaded at start and whenever the change counter says that keys changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mintmark_verifier::KeySet;

use super::handle::{SigningHandle, TokenTyp};
use super::jwk::PublicJwk;
use super::key::{KeyError, KeyPair};
use super::missing_key::MissingKey;
use super::private_key::SignError;
use crate::model::clock::{Stopwatch, UnixSeconds};
use crate::model::histogram::{Counted, Histogram};
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::vault::root::Subkeys;

/// The published keys as a document: pending, active and retiring ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    /// A JWK Set, `{"keys":[…]}`. The default algorithm's keys come first, since some verifiers stop at the first key.
    pub body: String,
    /// The strong entity tag of `body`, in quotes (RFC 9110 §8.8.3).
    pub etag: String,
}

/// The published keys, parsed. Shared by all requests.
pub struct KeyRing {
    subkeys: Arc<Subkeys>,
    default_alg: Alg,
    snapshot: ArcSwap<Snapshot>,
    /// Locked while a snapshot is created, so that an older one never replaces a newer one.
    loading: Mutex<()>,
    is_revoking: AtomicBool,
    /// How long signing took, in the order of [`Alg::ALL`].
    signing: [Histogram; Alg::ALL.len()],
}

struct Snapshot {
    /// The value of the change counter when the keys were read.
    as_of: i64,
    /// Pending keys, then active ones, so that the first one that matches and is due signs.
    signers: Vec<Signer>,
    published: HashMap<String, Published>,
    jwks: Arc<Jwks>,
    key_set: Arc<KeySet>,
}

struct Signer {
    /// From when it may sign. An active key may sign whatever the clock says.
    from: UnixSeconds,
    /// When it starts or started to sign, as stored (`activates_at`).
    since: UnixSeconds,
    handle: Arc<SigningHandle>,
}

/// What is known of a published key, without its JWK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its algorithm.
    pub alg: Alg,
    /// The class of tokens it signs.
    pub use_for: UseFor,
    /// Its phase as stored.
    pub phase: Phase,
    /// The instant from which it signs.
    pub activates_at: UnixSeconds,
}

impl Published {
    fn is_due(&self, now: UnixSeconds) -> bool {
        self.phase == Phase::Pending && self.activates_at <= now
    }
}

impl KeyRing {
    /// A ring without keys. `default_alg` is `tokens.signing_alg`.
    pub fn new(subkeys: Arc<Subkeys>, default_alg: Alg) -> Self {
        let snapshot = ArcSwap::from_pointee(Snapshot::new(i64::MIN, Vec::new(), &[]));
        Self {
            subkeys,
            default_alg,
            snapshot,
            loading: Mutex::new(()),
            is_revoking: AtomicBool::new(false),
            signing: Default::default(),
        }
    }

    /// Replaces the snapshot by the stored keys as read when the change counter had the value `as_of`. Only private keys that
    /// are new are opened and parsed. A read older than the last one is ignored.
    ///
    /// Returns an error for each key that cannot be used; the other keys are in the new snapshot. A key with a damaged
    /// private key is still published, so that its tokens verify. A key with a damaged public key is left out.
    #[must_use = "a key that cannot be used must be reported"]
    pub fn load(&self, stored: &[SigningKey], as_of: i64) -> Vec<KeyError> {
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.snapshot.load();
        if as_of < last.as_of {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let mut signers = Vec::new();
        let mut publish = Vec::new();
        for key in stored.iter().filter(|key| key.phase != Phase::Gone) {
            match PublicJwk::parse(key.alg, &key.public_jwk) {
                Some(public) if public.kid == key.kid => publish.push((key, public)),
                _ => {
                    let why = "its public key is damaged: restore its row from a backup".to_owned();
                    faults.push(KeyError::Unusable { kid: key.kid.clone(), why });
                    continue;
                }
            }
            match self.handle(key, &last) {
                Ok(Some(handle)) => signers
                    .push((key.phase, Signer { from: signs_from(key), since: key.activates_at, handle })),
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        signers.sort_by_key(|(phase, signer)| (*phase, std::cmp::Reverse(signer.from)));
        publish.sort_by_key(|(key, _)| {
            let first =
                (key.alg != self.default_alg, key.phase != Phase::Active, key.phase, key.use_for, key.alg);
            (first, std::cmp::Reverse(key.activates_at), key.kid.clone())
        });
        let signers = signers.into_iter().map(|(_, signer)| signer).collect();
        self.snapshot.store(Arc::new(Snapshot::new(as_of, signers, &publish)));
        faults
    }

    /// Records whether tokens of a deleted key are still to be revoked, as read after the keys of `as_of`.
    pub(super) fn note_revoking(&self, is_revoking: bool, as_of: i64) {
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if as_of >= self.snapshot.load().as_of {
            self.is_revoking.store(is_revoking, Ordering::Release);
        }
    }

    /// Whether tokens of a deleted key are still to be revoked. The revocation begins a new generation of their clients, which
    /// ends all stateless tokens of these clients, whichever key signed them. So no stateless token is issued meanwhile.
    pub fn is_revoking(&self) -> bool {
        self.is_revoking.load(Ordering::Acquire)
    }

    /// Signs with `key`, and records how long that took.
    pub fn sign(&self, key: &SigningHandle, typ: TokenTyp, claims: &[u8]) -> Result<String, SignError> {
        let began = Stopwatch::start();
        let signed = key.sign_jwt(typ, claims);
        let place = Alg::ALL.iter().position(|alg| *alg == key.alg());
        if let Some(times) = place.and_then(|place| self.signing.get(place)) {
            times.observe(began.elapsed());
        }
        signed
    }

    /// How long signing access tokens took, by algorithm.
    pub fn signing_timings(&self) -> Vec<(&'static str, Counted)> {
        Alg::ALL.iter().zip(&self.signing).map(|(alg, times)| (alg.as_str(), times.counted())).collect()
    }

    /// Finds the key that signs tokens of this class with the default algorithm at `now`, and returns since when it signs.
    /// `None` if no key signs them.
    pub fn signs_since(&self, use_for: UseFor, now: UnixSeconds) -> Option<UnixSeconds> {
        let signs = |signer: &&Signer| {
            signer.handle.alg() == self.default_alg
                && signer.handle.use_for() == use_for
                && signer.from <= now
        };
        self.snapshot.load().signers.iter().find(signs).map(|signer| signer.since)
    }

    /// The key that signs tokens of this class with this algorithm at `now`: a pending one from the instant it is due,
    /// else the active one. `None` if no key signs them.
    pub fn for_signing(&self, alg: Alg, use_for: UseFor, now: UnixSeconds) -> Option<Arc<SigningHandle>> {
        let snapshot = self.snapshot.load();
        let mut of_pair = snapshot
            .signers
            .iter()
            .filter(|signer| signer.handle.alg() == alg && signer.handle.use_for() == use_for);
        of_pair.find(|signer| signer.from <= now).map(|signer| Arc::clone(&signer.handle))
    }

    /// The classes for which no key of `alg` signs at `now`.
    pub(crate) fn missing(&self, alg: Alg, now: UnixSeconds) -> Vec<MissingKey> {
        let missing =
            UseFor::ALL.into_iter().filter(|use_for| self.for_signing(alg, *use_for, now).is_none());
        missing.map(|use_for| MissingKey { alg, use_for }).collect()
    }

    /// Algorithm, class and phase of a published key.
    pub fn published(&self, kid: &str) -> Option<Published> {
        self.snapshot.load().published.get(kid).copied()
    }

    /// The published keys, ready to verify our own tokens with.
    pub fn key_set(&self) -> Arc<KeySet> {
        Arc::clone(&self.snapshot.load().key_set)
    }

    /// The published keys, ready to send.
    pub fn jwks(&self) -> Arc<Jwks> {
        Arc::clone(&self.snapshot.load().jwks)
    }

    /// How many published keys are in `phase` at `now`. A pending key that is due counts as active, and the key that it
    /// replaces as retiring, even before that is stored.
    pub fn count(&self, phase: Phase, now: UnixSeconds) -> usize {
        let snapshot = self.snapshot.load();
        let is_followed = |key: &Published| {
            let mut others = snapshot.published.values();
            others.any(|other| other.is_due(now) && (other.alg, other.use_for) == (key.alg, key.use_for))
        };
        let in_force = |key: &Published| match key.phase {
            Phase::Pending if key.is_due(now) => Phase::Active,
            Phase::Active if is_followed(key) => Phase::Retiring,
            stored => stored,
        };
        snapshot.published.values().filter(|key| in_force(key) == phase).count()
    }

    /// The parsed form of a stored key: from the last snapshot, or newly opened. `None` for a key that may not sign.
    fn handle(&self, key: &SigningKey, last: &Snapshot) -> Result<Option<Arc<SigningHandle>>, KeyError> {
        if !matches!(key.phase, Phase::Pending | Phase::Active) {
            return Ok(None);
        }
        let is_same = |handle: &SigningHandle| {
            (handle.kid(), handle.alg(), handle.use_for()) == (key.kid.as_str(), key.alg, key.use_for)
        };
        if let Some(known) = last.signers.iter().find(|signer| is_same(&signer.handle)) {
            return Ok(Some(Arc::clone(&known.handle)));
        }
        let Some(pair) = KeyPair::open(key, &self.subkeys)? else {
            let why = "its private key is missing: restore its row from a backup".to_owned();
            return Err(KeyError::Unusable { kid: key.kid.clone(), why });
        };
        Ok(Some(SigningHandle::new(pair, key.use_for)))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("published", &self.snapshot.load().published).finish_non_exhaustive()
    }
}

impl Snapshot {
    fn new(as_of: i64, signers: Vec<Signer>, publish: &[(&SigningKey, PublicJwk)]) -> Self {
        let members: Vec<&str> = publish.iter().map(|(_, jwk)| jwk.json.as_str()).collect();
        let body = format!(r#"{{"keys":[{}]}}"#, members.join(","));
        let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
        let etag = format!(r#""{}""#, URL_SAFE_NO_PAD.encode(digest.as_ref()));
        let published = publish
            .iter()
            .map(|(key, _)| {
                let SigningKey { alg, use_for, phase, activates_at, .. } = **key;
                (key.kid.clone(), Published { alg, use_for, phase, activates_at })
            })
            .collect();
        #[expect(
            clippy::expect_used,
            reason = "the set was just written, and its kids are unique: they are a primary key"
        )]
        let key_set = KeySet::parse(body.as_bytes()).expect("our own key set");
        Self { as_of, signers, published, jwks: Arc::new(Jwks { body, etag }), key_set: Arc::new(key_set) }
    }
}

/// An active key signs at any time: it may have been activated early, or by a replica whose clock is ahead.
fn signs_from(key: &SigningKey) -> UnixSeconds {
    if key.phase == Phase::Active { UnixSeconds::MIN } else { key.activates_at }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
