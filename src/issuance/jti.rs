//! The ids of tokens (`jti`): 128 random bits in base64url.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::vault::random::{Random, RandomUnavailable};

/// An id as the token carries it: 16 bytes are exactly 22 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Jti([u8; 22]);

impl Jti {
    /// A new one.
    pub(super) fn draw(random: &Random) -> Result<Self, RandomUnavailable> {
        let mut text = [0; 22];
        // The buffer has room for it, so this cannot fail.
        let _ = URL_SAFE_NO_PAD.encode_slice(random.fill_id::<16>()?, &mut text);
        Ok(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// How many ids are kept at hand at most (about 1 MB).
const AT_HAND: usize = 32_768;

/// Ids for recorded tokens, given out in an order that saves the database work.
///
/// Each is as random as any other; only their order is not. With random keys in random order, every row changes another
/// page of the index, and writing these pages was the larger half of a commit. So ids are drawn ahead and given out as
/// a lift serves floors: always the next one above the last, and from the bottom again after the top. The rows of one
/// commit then share few pages.
#[derive(Debug, Default)]
pub(super) struct RecordedIds(Mutex<Lift>);

#[derive(Debug, Default)]
struct Lift {
    at_hand: BTreeSet<Jti>,
    last: Option<Jti>,
}

impl RecordedIds {
    /// The next one. A new one takes its place, and one more is added until there are enough, so that a process that
    /// issues few tokens keeps few ids.
    pub(super) fn next(&self, random: &Random) -> Result<Jti, RandomUnavailable> {
        let mut lift = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lift.at_hand.insert(Jti::draw(random)?);
        if lift.at_hand.len() < AT_HAND {
            lift.at_hand.insert(Jti::draw(random)?);
        }
        let from = lift.last.map_or(Bound::Unbounded, Bound::Excluded);
        let above = lift.at_hand.range((from, Bound::Unbounded)).next();
        let Some(next) = above.or_else(|| lift.at_hand.first()).copied() else { return Jti::draw(random) };
        lift.at_hand.remove(&next);
        lift.last = Some(next);
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::is_jti;

    #[test]
    fn ids_are_given_out_once_each_and_upwards_but_for_few_turns() {
        let (ids, random) = (RecordedIds::default(), Random::new());
        let given: Vec<Jti> = (0..10_000).map(|_| ids.next(&random).unwrap()).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
        assert!(given.iter().all(|jti| is_jti(jti.as_str())));
        let turns = given.windows(2).filter(|pair| pair[1] < pair[0]).count();
        // In random order it would be every second one.
        assert!(turns < 40, "{turns}");
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let (ids, random) = (RecordedIds::default(), Random::new());
        for _ in 0..AT_HAND + 1_000 {
            ids.next(&random).unwrap();
        }
        assert_eq!(ids.0.lock().unwrap().at_hand.len(), AT_HAND - 1);
    }
}
