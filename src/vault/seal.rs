//! Sealing: how secrets are encrypted at rest, and how keys are derived from one key.
//!
//! For [`super::root`]. Values are encrypted by AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, which is safe
//! because a key seals fewer than 2^32 messages here. Keys are derived by HKDF-SHA-256 (RFC 5869). The envelope is: version
//! (1 byte) · key id (8) · nonce (12) · ciphertext and tag. The key id distinguishes a wrong key from damaged bytes, before
//! anything is decrypted.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use zeroize::Zeroizing;

use super::random::{Random, RandomUnavailable};

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
const SALT: &[u8] = b"mintmark/1";

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed under another key.
    #[error(
        "a value in the database is encrypted with another key: the master key, or the row, belongs to another database. \
         Restore the database from a backup, and its master key"
    )]
    OtherKey,
    /// Its bytes were changed, or it is bound to something else.
    #[error(
        "an encrypted value in the database is damaged: its bytes were changed, or moved from another row. Restore the \
         database from a backup"
    )]
    Damaged,
    /// Its envelope has a version that this program does not know.
    #[error(
        "a value in the database is encrypted in format {0}, which this version of Mintmark does not know: run the version \
         that encrypted it, or a newer one"
    )]
    Version(u8),
    /// No random bytes for a nonce.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

/// A key that seals for one purpose. ring does not wipe the expanded key when it is dropped.
pub(super) struct Sealer {
    key: LessSafeKey,
    key_id: [u8; KEY_ID_LEN],
}

impl Sealer {
    /// The sealing key for `purpose`, derived from `key`.
    pub(super) fn new(key: &[u8], purpose: &str) -> Self {
        let sealing = derive::<32>(key, purpose);
        let key_id = *derive::<KEY_ID_LEN>(sealing.as_slice(), "key id");
        #[expect(clippy::expect_used, reason = "AES-256 takes any 32 bytes")]
        let key = UnboundKey::new(&AES_256_GCM, sealing.as_slice()).expect("a key of 32 bytes");
        Self { key: LessSafeKey::new(key), key_id }
    }

    /// Seals `plain`, bound to `context`: the envelope opens only with the same context.
    pub(super) fn seal(
        &self,
        random: &Random,
        context: &[&[u8]],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random.fill()?;
        let mut envelope =
            Vec::with_capacity(1 + KEY_ID_LEN + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        envelope.push(VERSION);
        envelope.extend_from_slice(&self.key_id);
        envelope.extend_from_slice(&nonce);
        let mut sealed = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, additional(VERSION, context), &mut sealed)
            .map_err(|_| SealError::Damaged)?;
        envelope.append(&mut sealed);
        Ok(envelope)
    }

    /// Opens what [`Sealer::seal`] sealed with the same `context`.
    pub(super) fn open(&self, context: &[&[u8]], envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = envelope.split_first().ok_or(SealError::Damaged)?;
        if *version != VERSION {
            return Err(SealError::Version(*version));
        }
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_LEN>().ok_or(SealError::Damaged)?;
        if *key_id != self.key_id {
            return Err(SealError::OtherKey);
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .key
            .open_in_place(nonce, additional(*version, context), &mut bytes)
            .map_err(|_| SealError::Damaged)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn additional(version: u8, context: &[&[u8]]) -> Aad<Vec<u8>> {
    let mut bytes = joined(context);
    bytes.push(version);
    Aad::from(bytes)
}

/// The parts, each after its length, so that two different lists of parts never become the same bytes.
pub(super) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum::<usize>() + 1);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The number of bytes that HKDF has to derive.
struct Length(usize);
impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// `N` bytes for one purpose, derived from a key by HKDF-SHA-256.
pub(super) fn derive<const N: usize>(key: &[u8], purpose: &str) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 yields no more") };
    let mut derived = Zeroizing::new([0; N]);
    #[expect(clippy::expect_used, reason = "only a length above the limit asserted here can fail")]
    hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
        .extract(key)
        .expand(&[purpose.as_bytes()], Length(N))
        .and_then(|okm| okm.fill(derived.as_mut_slice()))
        .expect("a length that HKDF can yield");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let random = Random::new();
        let sealer = Sealer::new(&[1; 32], "test");
        let envelope = sealer.seal(&random, &[b"row"], b"content").unwrap();
        assert_eq!(envelope.len(), 1 + 8 + 12 + 7 + 16);
        assert_eq!(sealer.open(&[b"row"], &envelope).unwrap().as_slice(), b"content");
        for position in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[position] ^= 1;
            let expected = match position {
                0 => SealError::Version(0),
                1..=8 => SealError::OtherKey,
                _ => SealError::Damaged,
            };
            assert_eq!(sealer.open(&[b"row"], &changed), Err(expected), "changed at {position}");
        }
        for length in 0..envelope.len() {
            assert!(sealer.open(&[b"row"], &envelope[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn a_context_with_the_same_bytes_in_other_parts_does_not_open() {
        let sealer = Sealer::new(&[1; 32], "test");
        let envelope = sealer.seal(&Random::new(), &[b"ab", b"c"], b"").unwrap();
        assert!(sealer.open(&[b"ab", b"c"], &envelope).is_ok());
        for other in [&[b"a".as_slice(), b"bc"], &[b"abc".as_slice(), b""], &[b"c".as_slice(), b"ab"]] {
            assert_eq!(sealer.open(other, &envelope), Err(SealError::Damaged));
        }
    }

    #[test]
    fn the_same_content_is_sealed_differently_each_time() {
        let random = Random::new();
        let sealer = Sealer::new(&[1; 32], "test");
        assert_ne!(sealer.seal(&random, &[], b"x").unwrap(), sealer.seal(&random, &[], b"x").unwrap());
    }

    #[test]
    fn derived_keys_are_pinned() {
        // HKDF-SHA-256 of 32 zero bytes, salt "mintmark/1", info "purpose", computed by Python's hmac. A change here
        // would make every existing database unreadable.
        assert_eq!(derive::<32>(&[0; 32], "purpose").as_slice(), PINNED);
    }

    const PINNED: [u8; 32] = [
        0xf8, 0x9a, 0xdc, 0xf3, 0x06, 0x0a, 0x71, 0xb0, 0x46, 0x56, 0xf6, 0x65, 0x5c, 0x34, 0x04, 0x63, 0x7e,
        0x35, 0x08, 0xd3, 0x33, 0x7f, 0x4c, 0xf2, 0x09, 0x7f, 0x35, 0xae, 0x8f, 0x99, 0xaa, 0x7e,
    ];
}
