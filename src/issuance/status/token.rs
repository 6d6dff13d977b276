//! A Status List Token (draft-ietf-oauth-status-list-21 §4, §5.1): the statuses of a list, compressed and signed, as the
//! bytes and entity tags that HTTP sends.

use std::io::{self, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde::Serialize;

use crate::model::clock::UnixSeconds;
use crate::signing::handle::{SigningHandle, TokenTyp};
use crate::storage::StoredStatusList;

/// The lifetime of a signed list, in seconds.
pub(super) const LIST_LIFETIME: i64 = 3600;

/// The number of bits of one status: valid, invalid or suspended (§7.1).
const BITS: u8 = 2;

/// The statuses of a list as they are published, without the signature.
#[derive(Debug)]
pub(super) struct CompressedList {
    lst: String,
    /// The value of the change counter when the statuses were read.
    pub(super) as_of: i64,
}

impl CompressedList {
    /// Compresses stored statuses.
    ///
    /// # Errors
    /// None in practice, because it writes to memory.
    pub(super) fn new(stored: &StoredStatusList) -> io::Result<Self> {
        Ok(Self { lst: lst(&stored.bits)?, as_of: stored.as_of })
    }
}

/// `lst` (§4.2): the bits, compressed by zlib as much as possible, in base64url.
fn lst(bits: &[u8]) -> io::Result<String> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(bits)?;
    Ok(URL_SAFE_NO_PAD.encode(zlib.finish()?))
}

/// A signed list. Shared by all requests for it until it is signed again.
#[derive(Debug)]
pub struct SignedList {
    /// The JWT in compact form.
    pub jwt: Arc<[u8]>,
    /// The strong entity tag of `jwt`, in quotes (RFC 9110 §8.8.3).
    pub etag: String,
    /// The JWT compressed by gzip.
    pub gzip: Arc<[u8]>,
    /// The strong entity tag of `gzip`, in quotes; different from that of `jwt`.
    pub gzip_etag: String,
    pub(super) compressed: Arc<CompressedList>,
    pub(super) kid: String,
    pub(super) iat: UnixSeconds,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: UnixSeconds,
    exp: UnixSeconds,
    ttl: i64,
    status_list: StatusList<'a>,
}

#[derive(Serialize)]
struct StatusList<'a> {
    bits: u8,
    lst: &'a str,
}

impl SignedList {
    /// Signs the list published at `uri`. `tag` computes the entity tag of some bytes.
    ///
    /// # Errors
    /// The error of `key`.
    pub(super) fn new(
        compressed: Arc<CompressedList>,
        uri: &str,
        ttl: i64,
        key: &SigningHandle,
        now: UnixSeconds,
        tag: impl Fn(&[u8]) -> String,
    ) -> io::Result<Self> {
        let status_list = StatusList { bits: BITS, lst: &compressed.lst };
        let claims = Claims { sub: uri, iat: now, exp: now + LIST_LIFETIME, ttl, status_list };
        let jwt = key.sign_jwt(TokenTyp::StatusList, &serde_json::to_vec(&claims)?);
        let jwt = jwt.map_err(io::Error::other)?.into_bytes();
        // The statuses are compressed already. Gzip only removes the overhead of base64, for which the fastest level is enough.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&jwt)?;
        let gzip = gzip.finish()?;
        Ok(Self {
            etag: tag(&jwt),
            gzip_etag: tag(&gzip),
            jwt: jwt.into(),
            gzip: gzip.into(),
            compressed,
            kid: key.kid().to_owned(),
            iat: now,
        })
    }
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `l4` checks that row of docs/conformance.md.
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;

    use super::*;
    use crate::model::status::{self, LIST_BYTES, Mark, Status};

    fn inflated(lst: &str) -> Vec<u8> {
        let mut bits = Vec::new();
        ZlibDecoder::new(&*URL_SAFE_NO_PAD.decode(lst).unwrap()).read_to_end(&mut bits).unwrap();
        bits
    }

    /// Statuses of two bits as the draft packs them.
    fn packed(statuses: &[(usize, u8)], bytes: usize) -> Vec<u8> {
        let mut bits = vec![0; bytes];
        for (idx, status) in statuses {
            bits[idx / 4] |= status << ((idx % 4) * 2);
        }
        bits
    }

    #[test]
    fn l4_the_examples_of_one_and_two_bits_are_written_as_in_the_draft() {
        // §4.1: status[0] = 1, [1] = 2, [2] = 0, [3] = 3, [4] = 0, …
        let statuses = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3];
        let statuses: Vec<_> = statuses.into_iter().enumerate().collect();
        let bits = packed(&statuses, 3);
        assert_eq!(bits, [0xc9, 0x44, 0xf9]);
        assert_eq!(lst(&bits).unwrap(), "eNo76fITAAPfAgc");
        // The example of one bit, with the bytes that §4.1 gives for it.
        assert_eq!(lst(&[0xb9, 0xa3]).unwrap(), "eNrbuRgAAhcBXQ");
        assert_eq!(inflated("eNo76fITAAPfAgc"), bits);
    }

    #[test]
    fn l4_the_long_vector_of_two_bits_decompresses_to_the_same_statuses_as_ours() {
        let statuses = [
            (0, 1),
            (1993, 2),
            (25_460, 1),
            (159_495, 3),
            (495_669, 1),
            (554_353, 1),
            (645_645, 2),
            (723_232, 1),
            (854_545, 1),
            (934_534, 2),
            (1_000_345, 3),
        ];
        let bits = packed(&statuses, (1 << 20) / 4);
        assert_eq!(inflated(VECTOR), bits);
        // Compressors differ, so only the decompressed bytes are compared.
        let ours = lst(&bits).unwrap();
        assert_eq!(inflated(&ours), bits);
        assert!(ours.starts_with("eN") && ours.len() <= VECTOR.len() * 2, "{} characters", ours.len());
        for idx in 0..1 << 20 {
            let expected = statuses.iter().find(|(at, _)| *at == idx).map_or(0, |(_, status)| *status);
            assert_eq!(bits[idx / 4] >> ((idx % 4) * 2) & 0b11, expected, "{idx}");
        }
    }

    #[test]
    fn l5_a_mark_is_read_from_the_list_as_the_draft_reads_it() {
        let mut bits = vec![0; LIST_BYTES];
        status::mark(&mut bits, 0, 4711, Mark::Revoke);
        status::mark(&mut bits, 0, 131_071, Mark::Suspend);
        let read = inflated(&lst(&bits).unwrap());
        assert_eq!(read.len() * 4, 131_072);
        assert_eq!(read[4711 / 4] >> ((4711 % 4) * 2) & 0b11, 1);
        assert_eq!(read[131_071 / 4] >> 6, 2);
        assert_eq!(read.iter().map(|byte| byte.count_ones()).sum::<u32>(), 2);
        assert_eq!(status::status(&read, 4711), Some(Status::Invalid));
    }

    /// Appendix "Test vectors for Status List encoding", two bits.
    const VECTOR: &str = concat!(
        "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5",
        "WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoA",
        "AAAAAAAAAAAAAEBqH81gAQw",
    );
}
