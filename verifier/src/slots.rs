//! [`Slots`]: the bits of a Token Status List, out of their compressed form (draft-21 §4.1, §4.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Decompress, FlushDecompress, Status};

/// The most bytes that a list may inflate to: 2^22 slots of 2 bits. A few hundred bytes could inflate to a million
/// times as many.
pub const MAX_STATUS_LIST_BYTES: usize = 1024 * 1024;

/// The slots of a status list, one small number each. For programs that read lists themselves; a
/// [`Verifier`](crate::Verifier) does all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    bits: u8,
    bytes: Box<[u8]>,
}

impl Slots {
    /// Reads `bits` and `lst` of a `status_list`: base64url of zlib of at most [`MAX_STATUS_LIST_BYTES`], slots of
    /// 1, 2, 4 or 8 bits, the first in the least significant bits of the first byte. The error says which of it is
    /// not so.
    pub fn decode(bits: u64, lst: &str) -> Result<Self, &'static str> {
        let bits = match bits {
            1 => 1,
            2 => 2,
            4 => 4,
            8 => 8,
            _ => return Err("its bits are not 1, 2, 4 or 8"),
        };
        let compressed = URL_SAFE_NO_PAD.decode(lst).map_err(|_| "its lst is not base64url")?;
        // One byte more than it may be, to see that it would be.
        let mut bytes = Vec::with_capacity(MAX_STATUS_LIST_BYTES.saturating_add(1));
        let mut inflate = Decompress::new(true);
        let status = inflate.decompress_vec(&compressed, &mut bytes, FlushDecompress::Finish);
        if bytes.len() > MAX_STATUS_LIST_BYTES {
            return Err("its lst inflates to more than it may");
        }
        // Asked for here: a stream that is cut off or goes on is no error to the decoder.
        if status.is_ok_and(|status| status == Status::StreamEnd)
            && inflate.total_in() == compressed.len() as u64
        {
            Ok(Self { bits, bytes: bytes.into_boxed_slice() })
        } else {
            Err("its lst is not whole and proper zlib")
        }
    }

    /// What the slot at `idx` says: 0 valid, 1 invalid, 2 suspended (§7.1). `None` beyond the end.
    pub fn get(&self, idx: u64) -> Option<u8> {
        let per_byte = 8 / self.bits;
        let byte = *self.bytes.get(usize::try_from(idx / u64::from(per_byte)).ok()?)?;
        let shift = u8::try_from(idx % u64::from(per_byte)).ok()? * self.bits;
        Some((byte >> shift) & (u8::MAX >> (8 - self.bits)))
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.bytes.len() * usize::from(8 / self.bits)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
