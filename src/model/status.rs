//! Status slots: the place of a token in a Token Status List (draft-ietf-oauth-status-list-21), and the status it holds.
//! How slots are allocated is in [`super::slot_lease`].

/// The path of the lists below the issuer. The number of a list follows it.
pub const STATUS_LISTS_PATH: &str = "/oauth2/status-lists";

/// The URI of a list (draft-ietf-oauth-status-list-21 §6.2).
pub(crate) fn status_list_uri(issuer: &str, list: i64) -> String {
    format!("{issuer}{STATUS_LISTS_PATH}/{list}")
}

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

    /// The slot in two columns; `None` if one of them is empty or there is no such index.
    pub fn from_columns(list: Option<i64>, idx: Option<i64>) -> Option<Self> {
        let idx = u32::try_from(idx?).ok().filter(|idx| *idx < SLOTS_PER_LIST)?;
        Some(Self { list: list?, idx })
    }
}

/// The published status of a slot (draft-21 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: valid.
    Valid,
    /// 1: revoked, finally.
    Invalid,
    /// 2: suspended; may become valid again.
    Suspended,
}

/// A change of a slot's status. Revoking overrides suspending, and is never undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// To [`Status::Invalid`].
    Revoke,
    /// From [`Status::Valid`] to [`Status::Suspended`].
    Suspend,
    /// From [`Status::Suspended`] to [`Status::Valid`].
    Resume,
}

impl Mark {
    /// The status after the change, given the one before.
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
/// index outside of `bits` changes nothing.
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

/// A part of a list with every slot revoked except those in `kept`, which stay as they are in `before` (`None`: no slot of the
/// part is marked). `kept` is sorted, and may have slots of other parts and lists.
pub fn revoke_all_except(before: Option<&[u8]>, list: i64, part: u32, kept: &[Slot]) -> Vec<u8> {
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

/// The status of the slot `idx` in the `bits` of a whole list; `None` beyond its end. A 3, which is never
/// written, counts as invalid.
pub fn status(bits: &[u8], idx: u32) -> Option<Status> {
    let byte = bits.get(idx as usize / 4)?;
    Some(match (byte >> ((idx % 4) * 2)) & 0b11 {
        0 => Status::Valid,
        2 => Status::Suspended,
        _ => Status::Invalid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn kept_slots_stay_and_all_others_of_the_part_are_revoked() {
        let before = vec![0b10_00_00_00; PART_BYTES];
        let slot = |list, idx| Slot { list, idx };
        let kept = [slot(1, 4096), slot(2, 4095), slot(2, 4096), slot(2, 4103), slot(2, 8192)];
        let bits = revoke_all_except(Some(&before), 2, 1, &kept);
        assert_eq!(bits[..3], [0b01_01_01_00, 0b10_01_01_01, 0b01_01_01_01]);
        assert!(bits[2..].iter().all(|byte| *byte == 0b01_01_01_01));
        assert_eq!(revoke_all_except(None, 2, 1, &kept)[..2], [0b01_01_01_00, 0b00_01_01_01]);
    }

    #[test]
    fn a_mark_changes_only_its_slot_and_a_status_is_read_by_its_index() {
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
