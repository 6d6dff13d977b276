//! [`Slots`]: decompresses a Token Status List and reads its entries (draft-21 §4.1, §4.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Decompress, FlushDecompress, Status};

/// The size limit of a decompressed list: 2^22 entries of 2 bits. Without a limit a small list could fill the memory.
pub const MAX_STATUS_LIST_BYTES: usize = 1024 * 1024;

/// The entries (slots) of a status list, each a small number. For programs that read lists themselves; a
/// [`Verifier`](crate::Verifier) does it for you.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    bits: u8,
    bytes: Box<[u8]>,
}

impl Slots {
    /// Reads `bits` and `lst` of a `status_list`. `lst` is base64url of a zlib stream that decompresses to at most
    /// [`MAX_STATUS_LIST_BYTES`]. An entry has 1, 2, 4 or 8 bits; the first is in the least significant bits of the
    /// first byte. The error says what is wrong, as the end of a sentence about the list.
    pub fn decode(bits: u64, lst: &str) -> Result<Self, &'static str> {
        let bits = match bits {
            1 => 1,
            2 => 2,
            4 => 4,
            8 => 8,
            _ => return Err("its bits are not 1, 2, 4 or 8"),
        };
        let compressed = URL_SAFE_NO_PAD.decode(lst).map_err(|_| "its lst is not base64url")?;
        // One byte more than the limit, to detect a list that exceeds it.
        let mut bytes = Vec::with_capacity(MAX_STATUS_LIST_BYTES.saturating_add(1));
        let mut inflate = Decompress::new(true);
        let status = inflate.decompress_vec(&compressed, &mut bytes, FlushDecompress::Finish);
        if bytes.len() > MAX_STATUS_LIST_BYTES {
            return Err("its lst decompresses to more than 1 MiB");
        }
        // The decoder accepts a stream that is cut off, or followed by other bytes.
        if status.is_ok_and(|status| status == Status::StreamEnd)
            && inflate.total_in() == compressed.len() as u64
        {
            Ok(Self { bits, bytes: bytes.into_boxed_slice() })
        } else {
            Err("its lst is not a complete zlib stream")
        }
    }

    /// The status at `idx`: 0 valid, 1 invalid, 2 suspended (draft-21 §7.1). `None` beyond the end.
    pub fn get(&self, idx: u64) -> Option<u8> {
        let per_byte = 8 / self.bits;
        let byte = *self.bytes.get(usize::try_from(idx / u64::from(per_byte)).ok()?)?;
        let shift = u8::try_from(idx % u64::from(per_byte)).ok()? * self.bits;
        Some((byte >> shift) & (u8::MAX >> (8 - self.bits)))
    }
}
