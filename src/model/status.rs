//! Status slots: the place of a token in a Token Status List (draft-ietf-oauth-status-list-21), how places are dealt
//! out, and what stands in them.

/// How many slots a list has: at two bits each, 32 KiB before compression.
pub const SLOTS_PER_LIST: u32 = 131_072;

/// How many slots one stored part of a list has.
pub const SLOTS_PER_PART: u32 = 4_096;

/// The bytes of a part.
pub const PART_BYTES: usize = (SLOTS_PER_PART / 4) as usize;

/// The bytes of a list.
pub const LIST_BYTES: usize = (SLOTS_PER_LIST / 4) as usize;

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The number of the list, as in its URI.
    pub list: i64,
    /// The index in the list, below [`SLOTS_PER_LIST`].
    pub idx: u32,
}

impl Slot {
    /// The stored part of the list that holds it.
    pub fn part(self) -> u32 {
        self.idx / SLOTS_PER_PART
    }

    /// The slot of two columns; `None` unless both hold one.
    pub fn from_columns(list: Option<i64>, idx: Option<i64>) -> Option<Self> {
        let idx = u32::try_from(idx?).ok().filter(|idx| *idx < SLOTS_PER_LIST)?;
        Some(Self { list: list?, idx })
    }
}

/// What is published of a slot (draft-21 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: valid.
    Valid,
    /// 1: revoked for ever.
    Invalid,
    /// 2: suspended; may be lifted.
    Suspended,
}

/// What is done to a slot. Revoking beats suspending, and is never undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// To [`Status::Invalid`], whatever it was.
    Revoke,
    /// From [`Status::Valid`] to [`Status::Suspended`].
    Suspend,
    /// From [`Status::Suspended`] to [`Status::Valid`].
    Resume,
}

impl Mark {
    /// What a slot holds after this, of what it held before.
    fn apply(self, before: u8) -> u8 {
        match (self, before) {
            (Self::Revoke, _) => 1,
            (Self::Suspend, 0) => 2,
            (Self::Resume, 2) => 0,
            (_, other) => other,
        }
    }
}

/// Applies a mark to the slot `idx` in `bits`, which begin at the slot `first`. Returns whether anything changed; an
/// index beyond `bits` changes nothing.
pub fn mark(bits: &mut [u8], first: u32, idx: u32, mark: Mark) -> bool {
    let offset = idx.wrapping_sub(first);
    let shift = (offset % 4) * 2;
    let Some(byte) = bits.get_mut(offset as usize / 4) else { return false };
    let before = (*byte >> shift) & 0b11;
    let after = mark.apply(before);
    // The lowest bits of a byte are its first slot (draft-21 §4.1).
    *byte = (*byte & !(0b11 << shift)) | (after << shift);
    after != before
}

/// A part of a list with every slot revoked but those in `kept` (sorted), which stay as they are in `before`.
pub fn revoked_but(before: Option<&[u8]>, list: i64, part: u32, kept: &[Slot]) -> Vec<u8> {
    let first = part * SLOTS_PER_PART;
    let mut bits = vec![0b01_01_01_01; PART_BYTES];
    let begin = kept.partition_point(|slot| *slot < Slot { list, idx: first });
    let of_part = kept.iter().skip(begin).take_while(|slot| slot.list == list && slot.part() == part);
    for offset in of_part.map(|slot| slot.idx - first) {
        let shift = (offset % 4) * 2;
        let was =
            before.and_then(|before| before.get(offset as usize / 4)).map_or(0, |byte| byte >> shift & 0b11);
        if let Some(byte) = bits.get_mut(offset as usize / 4) {
            *byte = (*byte & !(0b11 << shift)) | (was << shift);
        }
    }
    bits
}

/// What the slot `idx` of a whole list's `bits` holds; `None` beyond its end.
pub fn status(bits: &[u8], idx: u32) -> Option<Status> {
    let byte = bits.get(idx as usize / 4)?;
    Some(match (byte >> ((idx % 4) * 2)) & 0b11 {
        0 => Status::Valid,
        2 => Status::Suspended,
        _ => Status::Invalid,
    })
}

/// Which tokens a list is for. Each kind has lists of its own, since they end at different times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds<'a> {
    /// Generations of clients, which all their stateless tokens share.
    Generations,
    /// Recorded tokens that expire.
    Expiring,
    /// Never-expiring tokens signed by the key of this `kid`; the list lives as long as the key.
    NeverExpiring(&'a str),
}

impl<'a> Holds<'a> {
    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generations => "generations",
            Self::Expiring => "expiring",
            Self::NeverExpiring(_) => "never_expiring",
        }
    }

    /// The key it ends with.
    pub fn kid(self) -> Option<&'a str> {
        match self {
            Self::Generations | Self::Expiring => None,
            Self::NeverExpiring(kid) => Some(kid),
        }
    }
}

/// Slots of one list that were given out together and belong to whoever asked; each is used once or never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    list: i64,
    seed: [u8; 16],
    next: u32,
    end: u32,
}

impl Lease {
    /// The slots from the `next`th to before the `end`th of the list's order, which `seed` decides.
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

const HALF_ROUNDS: u32 = 10;

/// A permutation of the indices of a list, so that a slot tells nothing of when its token was issued (draft-21 §13.2):
/// an unbalanced Feistel network over 8 + 9 bits, keyed by the list's seed.
fn permute(seed: [u8; 16], position: u32) -> u32 {
    let key = u128::from_le_bytes(seed);
    let (mut left, mut right) = (position >> 9 & 0xff, position & 0x1ff);
    for round in 0..HALF_ROUNDS {
        if round % 2 == 0 {
            left ^= scramble(key, round, right) & 0xff;
        } else {
            right ^= scramble(key, round, left) & 0x1ff;
        }
    }
    left << 9 | right
}

/// A keyed function of a few bits: the finisher of splitmix64, once for each half of the key.
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
    fn every_slot_of_a_list_is_given_out_once() {
        for seed in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
            let mut seen = vec![false; SLOTS_PER_LIST as usize];
            for slot in Lease::new(1, seed, 0, SLOTS_PER_LIST) {
                assert!(!std::mem::replace(&mut seen[slot.idx as usize], true), "{slot:?} twice");
            }
            assert!(seen.into_iter().all(|given| given));
        }
    }

    #[test]
    fn neighbours_in_time_are_no_neighbours_in_the_list() {
        let order: Vec<u32> = Lease::new(1, *b"0123456789abcdef", 0, 1000).map(|slot| slot.idx).collect();
        let near = order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1000).count();
        // By chance about 15 of 999 lie within 1000 of each other.
        assert!(near < 60, "{near} of 999 pairs lie close");
        let other: Vec<u32> = Lease::new(1, *b"0123456789abcdeg", 0, 1000).map(|slot| slot.idx).collect();
        assert_ne!(order, other);
    }

    #[test]
    fn a_lease_ends_with_its_list() {
        assert_eq!(Lease::new(1, [7; 16], SLOTS_PER_LIST - 2, u32::MAX).count(), 2);
        assert_eq!(Lease::new(1, [7; 16], 5, 5).count(), 0);
    }

    #[test]
    fn revoking_beats_suspending_and_is_never_undone() {
        let rows = [(Mark::Revoke, [1, 1, 1]), (Mark::Suspend, [2, 1, 2]), (Mark::Resume, [0, 1, 0])];
        for (wanted, after) in rows {
            for (before, after) in [0, 1, 2].into_iter().zip(after) {
                assert_eq!(wanted.apply(before), after, "{wanted:?} of {before}");
            }
        }
    }

    #[test]
    fn what_is_kept_stays_and_all_else_is_revoked() {
        let before = vec![0b10_00_00_00; PART_BYTES];
        let slot = |list, idx| Slot { list, idx };
        let kept = [slot(1, 4096), slot(2, 4095), slot(2, 4096), slot(2, 4103), slot(2, 8192)];
        let bits = revoked_but(Some(&before), 2, 1, &kept);
        assert_eq!(bits[..3], [0b01_01_01_00, 0b10_01_01_01, 0b01_01_01_01]);
        assert!(bits[2..].iter().all(|byte| *byte == 0b01_01_01_01));
        assert_eq!(revoked_but(None, 2, 1, &kept)[..2], [0b01_01_01_00, 0b00_01_01_01]);
    }

    #[test]
    fn a_mark_touches_its_slot_alone() {
        let mut bits = vec![0b01_10_00_01; 4];
        assert!(mark(&mut bits, 4096, 4096 + 6, Mark::Revoke));
        assert_eq!(bits, [0b01_10_00_01, 0b01_01_00_01, 0b01_10_00_01, 0b01_10_00_01]);
        assert!(!mark(&mut bits, 4096, 4096 + 6, Mark::Suspend));
        assert!(!mark(&mut bits, 4096, 4096 + 16, Mark::Revoke));
        assert!(!mark(&mut bits, 4096, 4095, Mark::Revoke));
        assert_eq!(status(&[0b10_01_00_11], 0), Some(Status::Invalid));
        assert_eq!(status(&[0b10_01_00_11], 1), Some(Status::Valid));
        assert_eq!(status(&[0b10_01_00_11], 3), Some(Status::Suspended));
        assert_eq!(status(&[0], 4), None);
    }
}
