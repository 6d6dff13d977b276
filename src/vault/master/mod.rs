//! The master key: 32 bytes that are kept outside the database and seal the root key inside it.
//!
//! For the start of the service and the command line. The key is in the settings or in a file, as base64url, base64, hex or (in
//! a file) 32 raw bytes. A file that every user can read or write is refused.

mod encoding;
mod error;
mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::random::Random;
use super::seal::derive;

pub use error::{MasterKeyError, MasterKeyFault};

/// The length of a master key, in bytes.
pub const LEN: usize = 32;

/// The key outside the database. Its bytes are wiped when it is dropped; `Debug` does not print them.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; LEN]>);

/// Where a master key came from, for the log at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From the text of `keys.master_key`.
    Settings,
    /// Read from this file.
    File(PathBuf),
    /// A new key, generated now or by a start that was interrupted. It is in this file, or is moved there by
    /// [`MasterKey::put_in_place`].
    Created(PathBuf),
}

impl MasterKey {
    /// The key of a database: from `text` (the settings) if it is set, else from `file`. If there is no file and the database
    /// has no key yet (`fingerprint` is `None`), a new key is generated, which is beside `file` until
    /// [`put_in_place`](Self::put_in_place). A database that has a key accepts no other key.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn obtain(
        text: Option<&str>,
        file: &Path,
        fingerprint: Option<&[u8]>,
        random: &Random,
    ) -> Result<(Self, Origin), MasterKeyError> {
        let (key, origin) = if let Some(text) = text {
            (Self::parse(text).map_err(MasterKeyError::Text)?, Origin::Settings)
        } else {
            match Self::read(file) {
                Err(MasterKeyError::Missing(path)) => match fingerprint {
                    None => (Self::create_beside(&path, random)?, Origin::Created(path)),
                    Some(fingerprint) => (Self::take_from_beside(&path, fingerprint)?, Origin::File(path)),
                },
                found => (found?, Origin::File(file.to_owned())),
            }
        };
        match fingerprint {
            Some(expected) if expected != key.fingerprint() => {
                let origin = match origin {
                    Origin::Settings => "keys.master_key".to_owned(),
                    Origin::File(path) | Origin::Created(path) => path.display().to_string(),
                };
                Err(key.is_other_than(expected, origin))
            }
            _ => Ok((key, origin)),
        }
    }

    /// Reads the text form: base64url or base64 of 32 bytes, or 64 hex digits. White space around the text is ignored.
    pub fn parse(text: &str) -> Result<Self, MasterKeyFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(MasterKeyFault::Empty);
        }
        let bytes = encoding::decode(text).ok_or(MasterKeyFault::NotEncoded)?;
        Self::from_slice(&bytes)
    }

    /// A name for the key that does not reveal it. The database keeps this name, to recognise its key.
    pub fn fingerprint(&self) -> [u8; 16] {
        *derive::<16>(self.0.as_slice(), "master key fingerprint")
    }

    /// The error if the database needs the key with the fingerprint `expected`, but this key was found, at `origin`.
    pub fn is_other_than(&self, expected: &[u8], origin: String) -> MasterKeyError {
        MasterKeyError::Other {
            expected: URL_SAFE_NO_PAD.encode(expected),
            found: self.fingerprint_text(),
            origin,
        }
    }

    /// The fingerprint as people read it, in base64url.
    pub fn fingerprint_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.fingerprint())
    }

    pub(super) fn bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, MasterKeyFault> {
        let key: [u8; LEN] = bytes.try_into().map_err(|_| MasterKeyFault::Length(bytes.len()))?;
        // As from /dev/zero, or in a template that was never filled in.
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err(MasterKeyFault::NotRandom);
        }
        Ok(Self(Zeroizing::new(key)))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests;
