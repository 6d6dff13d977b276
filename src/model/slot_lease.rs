//! How status slots are allocated: in leases, in an order that does not reveal when a token was issued
//! (draft-ietf-oauth-status-list-21 §12.4).

use super::status::{SLOTS_PER_LIST, Slot};

/// The tokens that a list is for. Each kind has its own lists, since they end at different times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind<'a> {
    /// Generations of clients: all stateless tokens of one generation share its slot.
    Generations,
    /// Recorded tokens that expire.
    Expiring,
    /// Never-expiring tokens signed by the key of this `kid`; the list exists as long as the key.
    NeverExpiring(&'a str),
}

impl<'a> ListKind<'a> {
    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generations => "generations",
            Self::Expiring => "expiring",
            Self::NeverExpiring(_) => "never_expiring",
        }
    }

    /// The key whose tokens the list is for, if it is for one key: the list ends with that key.
    pub fn kid(self) -> Option<&'a str> {
        match self {
            Self::Generations | Self::Expiring => None,
            Self::NeverExpiring(kid) => Some(kid),
        }
    }
}

/// Slots of one list that are allocated together to one process, which uses each at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    list: i64,
    seed: [u8; 16],
    next: u32,
    end: u32,
}

impl Lease {
    /// The slots from position `next` to before position `end` in the order of the list, which `seed` determines.
    pub fn new(list: i64, seed: [u8; 16], next: u32, end: u32) -> Self {
        Self { list, seed, next, end: end.min(SLOTS_PER_LIST) }
    }
}

impl Iterator for Lease {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        if self.next >= self.end {
            return None;
        }
        let idx = permute(self.seed, self.next);
        self.next += 1;
        Some(Slot { list: self.list, idx })
    }
}

/// How many rounds the Feistel network of [`permute`] has. Each changes one of the two parts of a position.
const ROUNDS: u32 = 10;

/// A permutation of the indices of a list, so that a slot does not reveal when its token was issued (draft-21 §12.4):
/// an unbalanced Feistel network over 8 + 9 bits, keyed by the list's seed.
fn permute(seed: [u8; 16], position: u32) -> u32 {
    let key = u128::from_le_bytes(seed);
    let (mut left, mut right) = (position >> 9 & 0xff, position & 0x1ff);
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            left ^= scramble(key, round, right) & 0xff;
        } else {
            right ^= scramble(key, round, left) & 0x1ff;
        }
    }
    left << 9 | right
}

/// A keyed function of a few bits: the finalizer of `SplitMix64`, once for each half of the key.
fn scramble(key: u128, round: u32, input: u32) -> u32 {
    let mix = |mut word: u64| {
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    };
    let bytes = key.to_le_bytes();
    let half = |at: usize| {
        let mut word = [0_u8; 8];
        for (to, from) in word.iter_mut().zip(bytes.iter().skip(at)) {
            *to = *from;
        }
        u64::from_le_bytes(word)
    };
    let first =
        mix(half(0) ^ (u64::from(round) << 32 | u64::from(input)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let [a, b, c, d, ..] = mix(first ^ half(8)).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_a_list_is_assigned_once() {
        for seed in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
            let mut seen = vec![false; SLOTS_PER_LIST as usize];
            for slot in Lease::new(1, seed, 0, SLOTS_PER_LIST) {
                assert!(!std::mem::replace(&mut seen[slot.idx as usize], true), "{slot:?} twice");
            }
            assert!(seen.into_iter().all(|given| given));
        }
    }

    #[test]
    fn few_consecutive_slots_lie_close_in_the_list_and_another_seed_gives_another_order() {
        let order: Vec<u32> = Lease::new(1, *b"0123456789abcdef", 0, 1000).map(|slot| slot.idx).collect();
        let near = order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1000).count();
        // By chance about 15 of 999 lie within 1000 of each other; 60 is four times that.
        assert!(near < 60, "{near} of 999 pairs lie close");
        let other: Vec<u32> = Lease::new(1, *b"0123456789abcdeg", 0, 1000).map(|slot| slot.idx).collect();
        assert_ne!(order, other);
    }

    #[test]
    fn a_lease_ends_with_its_list() {
        assert_eq!(Lease::new(1, [7; 16], SLOTS_PER_LIST - 2, u32::MAX).count(), 2);
        assert_eq!(Lease::new(1, [7; 16], 5, 5).count(), 0);
    }
}
