//! Checkpoints as signed notes (C2SP `signed-note`, `tlog-checkpoint`), and the verifier keys that other programs take.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::hash::{Hash, plain_hash};

/// The type of an Ed25519 signature in a note.
const ED25519_TYPE: u8 = 1;

/// A verifier key: who signs, and the public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditKey {
    /// The name of the log.
    pub origin: String,
    public: [u8; 32],
}

impl AuditKey {
    /// The key of a log; `None` if `public` is not 32 bytes.
    pub(super) fn new(origin: &str, public: &[u8]) -> Option<Self> {
        Some(Self { origin: origin.to_owned(), public: public.try_into().ok()? })
    }

    fn id(&self) -> [u8; 4] {
        let hash = plain_hash(&[self.origin.as_bytes(), &[b'\n', ED25519_TYPE], &self.public]);
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }
}

/// In the text form of `signed-note`: the name, the id of the key in hex, and the key in base64, with `+` between them.
impl fmt::Display for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let key = [&[ED25519_TYPE], self.public.as_slice()].concat();
        write!(f, "{}+{id:08x}+{}", self.origin, STANDARD.encode(key))
    }
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a checkpoint.
    #[error(
        "it is not a checkpoint, which has lines with origin, number of entries and root, an empty line, and a signature"
    )]
    Malformed,
    /// It has no signature by the key.
    #[error("it is not signed by the key of this log")]
    OtherKey,
    /// It names the key, but the signature is wrong.
    #[error("its signature is wrong")]
    Signature,
}

/// A checkpoint whose signature has not been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of its log.
    pub origin: String,
    /// How many leaves it covers.
    pub size: i64,
    pub(super) root: Hash,
    text: String,
    signatures: Vec<(String, Vec<u8>)>,
}

impl Checkpoint {
    /// Reads a signed note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn read(note: &str) -> Result<Self, NoteError> {
        // An editor may have added line ends.
        let (text, signed) = note.trim_end_matches('\n').rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let mut lines = text.lines();
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Malformed);
        let (origin, size, root) = (line()?.to_owned(), line()?, line()?);
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let is_number = size == "0" || (size.starts_with(|c: char| c.is_ascii_digit() && c != '0'));
        let signatures = signed.lines().map(|line| {
            let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
            Some((name.to_owned(), STANDARD.decode(signature).ok()?))
        });
        let signatures = signatures.collect::<Option<Vec<_>>>().filter(|signatures| !signatures.is_empty());
        Ok(Self {
            origin,
            size: size.parse().ok().filter(|_| is_number).ok_or(NoteError::Malformed)?,
            root: root.ok_or(NoteError::Malformed)?,
            text: format!("{text}\n"),
            signatures: signatures.ok_or(NoteError::Malformed)?,
        })
    }

    /// Checks the signature of the log.
    ///
    /// # Errors
    /// [`NoteError::OtherKey`], [`NoteError::Signature`].
    pub(super) fn must_be_signed_by(&self, key: &AuditKey) -> Result<(), NoteError> {
        let mut signatures = self.signatures.iter().filter(|(name, _)| *name == key.origin);
        let signature = signatures.find_map(|(_, signature)| signature.strip_prefix(&key.id()));
        UnparsedPublicKey::new(&ED25519, key.public)
            .verify(self.text.as_bytes(), signature.ok_or(NoteError::OtherKey)?)
            .map_err(|_| NoteError::Signature)
    }
}

/// Signs a checkpoint; `None` if the public key of `pair` is not 32 bytes.
pub(super) fn sign(origin: &str, size: i64, root: &Hash, pair: &Ed25519KeyPair) -> Option<String> {
    let key = AuditKey::new(origin, pair.public_key().as_ref())?;
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
    let signature = [&key.id(), pair.sign(text.as_bytes()).as_ref()].concat();
    Some(format!("{text}\n— {origin} {}\n", STANDARD.encode(signature)))
}
