//! [`KnownTokens`]: the cache of tokens whose signature and claims were checked, so that only what can change is checked
//! again. It has a fixed size and no lock. Its key is the SHA-256 of the token, so the token itself is not kept.

use arc_swap::ArcSwapOption;
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::AccessTokenClaims;
use crate::checks::Validity;
use crate::keys::Key;
use crate::status::Place;

/// SHA-256 of a token.
pub(crate) type Hash = [u8; 32];

/// The number of places in which a token may be.
const WAYS: usize = 8;

/// A token whose signature and claims were checked.
pub(crate) struct KnownToken {
    pub(crate) hash: Hash,
    pub(crate) claims: Arc<AccessTokenClaims>,
    /// The key that signed it, which must still be published.
    pub(crate) key: Arc<Key>,
    pub(crate) validity: Validity,
    /// Its status list entry; `None` if the status is not checked.
    pub(crate) place: Option<Place>,
    /// When it was last verified, Unix seconds.
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

/// An array in which the hash of a token selects [`WAYS`] neighbouring places.
pub(crate) struct KnownTokens {
    places: Box<[ArcSwapOption<KnownToken>]>,
}

impl KnownTokens {
    /// A cache of `capacity` tokens; 0 turns it off.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { places: (0..capacity).map(|_| ArcSwapOption::empty()).collect() }
    }

    /// The key of `token` in this cache; `None` if the cache is off.
    pub(crate) fn hash(&self, token: &str) -> Option<Hash> {
        if self.places.is_empty() {
            return None;
        }
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Some(hash)
    }

    /// The token with this hash, if it is known.
    pub(crate) fn get(&self, hash: &Hash, now: i64) -> Option<Arc<KnownToken>> {
        let known = self
            .ways(hash)
            .find_map(|place| place.load().as_ref().filter(|known| known.hash == *hash).map(Arc::clone))?;
        // At most one write a second, so that processors do not contend for a token that is used on all of them.
        if known.used_at.load(Ordering::Relaxed) != now {
            known.used_at.store(now, Ordering::Relaxed);
        }
        Some(known)
    }

    /// Stores `token` in one of its places: over an earlier copy of it, or else in an empty place, or else over the least
    /// recently used token.
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
