//! The ids of tokens (`jti`): 128 random bits in base64url.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::vault::random::{Random, RandomUnavailable};

/// An id as in the token: 16 bytes are exactly 22 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Jti([u8; 22]);

impl Jti {
    /// A new one.
    pub(super) fn generate(random: &Random) -> Result<Self, RandomUnavailable> {
        let mut text = [0; 22];
        // The buffer has room for it, so this cannot fail.
        let _ = URL_SAFE_NO_PAD.encode_slice(random.fill_id::<16>()?, &mut text);
        Ok(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// How many ids the pool has at most (about 1 MB).
const POOL_MAX: usize = 32_768;

/// Ids for recorded tokens. They are random, but used in ascending order.
///
/// With ids in random order, each row changes another page of the index, and writing these pages was more than half of
/// the time of a commit. So ids are generated ahead into a pool, and the next one is always the smallest that is greater
/// than the last; after the greatest it begins again with the smallest. The rows of one commit then share few pages.
#[derive(Debug, Default)]
pub(super) struct RecordedIds(Mutex<Pool>);

#[derive(Debug, Default)]
struct Pool {
    ids: BTreeSet<Jti>,
    last: Option<Jti>,
}

impl RecordedIds {
    /// Takes the next id from the pool and adds a new one; until the pool is full it adds two. So the pool of a process
    /// that issues few tokens stays small.
    pub(super) fn next(&self, random: &Random) -> Result<Jti, RandomUnavailable> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.ids.insert(Jti::generate(random)?);
        if pool.ids.len() < POOL_MAX {
            pool.ids.insert(Jti::generate(random)?);
        }
        let from = pool.last.map_or(Bound::Unbounded, Bound::Excluded);
        let above = pool.ids.range((from, Bound::Unbounded)).next();
        let Some(next) = above.or_else(|| pool.ids.first()).copied() else { return Jti::generate(random) };
        pool.ids.remove(&next);
        pool.last = Some(next);
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::is_jti;

    #[test]
    fn each_id_is_used_once_and_mostly_in_ascending_order() {
        let (ids, random) = (RecordedIds::default(), Random::new());
        let given: Vec<Jti> = (0..10_000).map(|_| ids.next(&random).unwrap()).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
        assert!(given.iter().all(|jti| is_jti(jti.as_str())));
        let turns = given.windows(2).filter(|pair| pair[1] < pair[0]).count();
        // In random order it would be every second id.
        assert!(turns < 40, "{turns}");
    }

    #[test]
    fn the_pool_has_a_limit() {
        let (ids, random) = (RecordedIds::default(), Random::new());
        for _ in 0..POOL_MAX + 1_000 {
            ids.next(&random).unwrap();
        }
        assert_eq!(ids.0.lock().unwrap().ids.len(), POOL_MAX - 1);
    }
}
