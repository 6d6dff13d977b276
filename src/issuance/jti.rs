//! The ids of tokens (`jti`): 128 random bits in base64url.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::vault::random::{Random, RandomUnavailable};

/// An id as in the token: 16 bytes are exactly 22 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Jti([u8; 22]);

impl Jti {
    /// A new random id.
    pub(super) fn generate(random: &Random) -> Result<Self, RandomUnavailable> {
        let mut text = [0; 22];
        // The buffer has the exact length of the text, so this cannot fail.
        let _ = URL_SAFE_NO_PAD.encode_slice(random.fill_id::<16>()?, &mut text);
        Ok(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// How many ids the pool has at most (about 4 MB).
const POOL_MAX: usize = 131_072;

/// Ids for recorded tokens. They are random, but used in ascending order.
///
/// With ids in random order, each row changes another page of the index, and writing these pages was more than half of
/// the time of a commit. So ids are generated in advance into a pool, and each id that is taken is greater than the one
/// before; after the greatest id the smallest follows. The rows of one commit then share few pages.
#[derive(Debug, Default)]
pub(super) struct RecordedIds(Mutex<Pool>);

/// How many parts the pool has: one for each first character of an id. More parts would be sorted faster, but the ends of the
/// parts, where ids are added, would then not all stay in the processor's cache.
const PARTS: usize = 64;

#[derive(Debug)]
struct Pool {
    /// In the order of the first characters. The ids in a part are sorted when its turn comes.
    parts: Vec<Vec<Jti>>,
    /// The ids of the part whose turn it is, the greatest first. Ids that are added meanwhile wait for the part's next turn.
    current: Vec<Jti>,
    /// The index of the part whose turn it is.
    turn: usize,
    /// How many ids the pool has.
    len: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { parts: vec![Vec::new(); PARTS], current: Vec::new(), turn: 0, len: 0 }
    }
}

/// The place of a base64url digit in the order of the characters.
fn rank(digit: u8) -> usize {
    usize::from(match digit {
        b'0'..=b'9' => 1 + digit - b'0',
        b'A'..=b'Z' => 11 + digit - b'A',
        b'_' => 37,
        b'a'..=b'z' => 38 + digit - b'a',
        _ => 0,
    })
}

impl Pool {
    fn add(&mut self, jti: Jti) {
        let [first, ..] = jti.0;
        if let Some(part) = self.parts.get_mut(rank(first)) {
            part.push(jti);
            self.len += 1;
        }
    }

    fn take(&mut self) -> Option<Jti> {
        if self.current.is_empty() {
            let after = self.turn + 1;
            let mut turns = (after..PARTS).chain(0..after.min(PARTS));
            self.turn = turns.find(|turn| self.parts.get(*turn).is_some_and(|part| !part.is_empty()))?;
            // The part gets the empty vector, whose memory is used again.
            std::mem::swap(self.parts.get_mut(self.turn)?, &mut self.current);
            self.current.sort_unstable_by(|a, b| b.cmp(a));
        }
        self.len -= 1;
        self.current.pop()
    }
}

impl RecordedIds {
    /// Takes the next id from the pool and adds a new one; until the pool is full it adds two. So the pool of a process
    /// that issues few tokens stays small.
    pub(super) fn next(&self, random: &Random) -> Result<Jti, RandomUnavailable> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.add(Jti::generate(random)?);
        if pool.len < POOL_MAX {
            pool.add(Jti::generate(random)?);
        }
        // The pool has an id, because one was just added.
        pool.take().map_or_else(|| Jti::generate(random), Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::ids::is_jti;

    #[test]
    fn each_id_is_used_once_and_mostly_in_ascending_order() {
        let (ids, random) = (RecordedIds::default(), Random::new());
        let given: Vec<Jti> = (0..10_000).map(|_| ids.next(&random).unwrap()).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
        assert!(given.iter().all(|jti| is_jti(jti.as_str())));
        let turns = given.windows(2).filter(|pair| pair[1] < pair[0]).count();
        // Only the first id of each pass through the pool is smaller than the one before it, and 10,000 ids take about six
        // passes. In random order, every second id would be smaller.
        assert!(turns < 40, "{turns}");
    }

    #[test]
    fn the_pool_has_a_limit() {
        let (ids, random) = (RecordedIds::default(), Random::new());
        for _ in 0..POOL_MAX + 1_000 {
            ids.next(&random).unwrap();
        }
        // The last call took an id from the full pool.
        assert_eq!(ids.0.lock().unwrap().len, POOL_MAX - 1);
    }
}
