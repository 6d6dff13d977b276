//! [`KnownTokens`]: tokens whose signature and claims were found good, so that the next time only what may have
//! changed is looked at. Bounded, without a lock, keyed by SHA-256: of a token no more is kept than its claims.

use arc_swap::ArcSwapOption;
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::AccessTokenClaims;
use crate::checks::Validity;
use crate::jws::MAX_TOKEN_BYTES;
use crate::keys::Key;
use crate::status::Place;

/// SHA-256 of a token.
pub(crate) type Hash = [u8; 32];

/// In how many places an entry may be.
const WAYS: usize = 8;

/// A token that was found good.
pub(crate) struct KnownToken {
    pub(crate) hash: Hash,
    pub(crate) claims: Arc<AccessTokenClaims>,
    /// The key that has signed it, which must still be published.
    pub(crate) key: Arc<Key>,
    pub(crate) validity: Validity,
    /// Its slot; `None` if status is not checked.
    pub(crate) place: Option<Place>,
    /// When it was last presented, Unix seconds.
    used_at: AtomicI64,
}

impl KnownToken {
    pub(crate) fn new(
        hash: Hash,
        claims: AccessTokenClaims,
        key: Arc<Key>,
        validity: Validity,
        place: Option<Place>,
    ) -> Self {
        Self { hash, claims: Arc::new(claims), key, validity, place, used_at: AtomicI64::new(0) }
    }
}

/// The tokens, in an array in which each has [`WAYS`] neighbouring places.
pub(crate) struct KnownTokens {
    places: Box<[ArcSwapOption<KnownToken>]>,
}

impl KnownTokens {
    /// At most `capacity` of them; none at all if it is 0.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { places: (0..capacity).map(|_| ArcSwapOption::empty()).collect() }
    }

    /// What `token` is known by; nothing if no token is, or none so long.
    pub(crate) fn hash(&self, token: &str) -> Option<Hash> {
        if self.places.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Some(hash)
    }

    /// The token of this hash, if it is known.
    pub(crate) fn get(&self, hash: &Hash, now: i64) -> Option<Arc<KnownToken>> {
        let known = self
            .ways(hash)
            .find_map(|place| place.load().as_ref().filter(|known| known.hash == *hash).map(Arc::clone))?;
        // One write a second at most, so that a token used everywhere does not make the processors fight over it.
        if known.used_at.load(Ordering::Relaxed) != now {
            known.used_at.store(now, Ordering::Relaxed);
        }
        Some(known)
    }

    /// Remembers `token`, in place of the one among its neighbours that was presented longest ago.
    pub(crate) fn insert(&self, token: Arc<KnownToken>, now: i64) {
        token.used_at.store(now, Ordering::Relaxed);
        let age = |place: &&ArcSwapOption<KnownToken>| match &*place.load() {
            Some(known) if known.hash == token.hash => None,
            Some(known) => Some(known.used_at.load(Ordering::Relaxed)),
            None => Some(i64::MIN),
        };
        if let Some(place) = self.ways(&token.hash).min_by_key(age) {
            place.store(Some(token));
        }
    }

    fn ways(&self, hash: &Hash) -> impl Iterator<Item = &ArcSwapOption<KnownToken>> {
        let start = hash.first_chunk().map_or(0, |first| usize::from_le_bytes(*first));
        let count = self.places.len();
        (0..WAYS.min(count))
            .filter_map(move |way| self.places.get(start.wrapping_add(way).checked_rem(count)?))
    }
}
