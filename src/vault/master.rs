//! The master key: 32 bytes that are kept outside the database and seal the root key inside it.
//!
//! For the start of the service and the command line. Read from the settings or from a file: base64url and a newline;
//! base64, hex and 32 raw bytes are read too. A file that others can read is refused.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::random::{Random, RandomUnavailable};
use super::seal::derive;

/// The length of the key in bytes.
pub const LEN: usize = 32;

/// Longer than any form the key may be written in. What is longer is no key, and is not read to its end.
const FILE_LIMIT: u64 = 256;

/// The key outside the database. Its bytes are wiped when it is dropped; `Debug` does not print them.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; LEN]>);

/// Where a master key came from, to be said at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From the text of `keys.master_key`.
    Settings,
    /// Read from this file.
    File(PathBuf),
    /// Made just now and written to this file.
    Created(PathBuf),
}

impl MasterKey {
    /// Finds the key of a database: the text of the settings if there is one, else the file. A database that has no
    /// key yet (`fingerprint` is `None`) gets a new one in `file`; one that has never gets or takes another.
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
                Err(MasterKeyError::Missing(path)) if fingerprint.is_none() => {
                    (Self::create(&path, random)?, Origin::Created(path))
                }
                found => (found?, Origin::File(file.to_owned())),
            }
        };
        match fingerprint {
            Some(expected) if expected != key.fingerprint() => Err(MasterKeyError::Other {
                expected: URL_SAFE_NO_PAD.encode(expected),
                found: URL_SAFE_NO_PAD.encode(key.fingerprint()),
                origin: match origin {
                    Origin::Settings => "keys.master_key".to_owned(),
                    Origin::File(path) | Origin::Created(path) => path.display().to_string(),
                },
            }),
            _ => Ok((key, origin)),
        }
    }

    /// Reads the text form: base64url or base64 of 32 bytes, or 64 hex digits. White space around it is no part of it.
    pub fn parse(text: &str) -> Result<Self, MasterKeyFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(MasterKeyFault::Empty);
        }
        let bytes = decode_hex(text).or_else(|| decode_base64(text)).ok_or(MasterKeyFault::NotEncoded)?;
        Self::from_slice(&bytes)
    }

    /// Reads the key from a file, in any of its forms.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let unreadable = |cause| MasterKeyError::Unreadable { path: path.to_owned(), cause };
        let file = File::open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing(path.to_owned()),
            _ => unreadable(cause),
        })?;
        // Asked of the open file, not of the path, so that it is the same file that is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let mode = metadata.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(MasterKeyError::Exposed { path: path.to_owned(), mode: mode & 0o777 });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_LIMIT).unwrap_or(0)));
        file.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(unreadable)?;
        let key = if bytes.len() == LEN {
            Self::from_slice(&bytes)
        } else {
            std::str::from_utf8(&bytes).map_err(|_| MasterKeyFault::Length(bytes.len())).and_then(Self::parse)
        };
        key.map_err(|fault| MasterKeyError::File { path: path.to_owned(), fault })
    }

    /// The key of a file that other things are to be sealed under: read, or made if there is no such file. Either way the
    /// file and its folder are on disk before this returns, and what is returned is what the file holds.
    pub fn ensure(path: &Path, random: &Random) -> Result<(Self, Origin), MasterKeyError> {
        let origin = match Self::create(path, random) {
            Ok(_) => Origin::Created(path.to_owned()),
            Err(MasterKeyError::NotCreated { cause, .. }) if cause.kind() == io::ErrorKind::AlreadyExists => {
                let unreadable = |cause| MasterKeyError::Unreadable { path: path.to_owned(), cause };
                File::open(path).and_then(|file| file.sync_all()).map_err(unreadable)?;
                File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(unreadable)?;
                Origin::File(path.to_owned())
            }
            Err(error) => return Err(error),
        };
        Ok((Self::read(path)?, origin))
    }

    /// Makes a new key and writes it to `path`, which must not exist. The file (mode 0600) and its folder are on disk
    /// before this returns, so nothing is ever sealed under a key that a power cut could take.
    pub fn create(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let key = Self(Zeroizing::new(random.fill()?));
        let failed = |cause| MasterKeyError::NotCreated { path: path.to_owned(), cause };
        let folder = folder_of(path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.0.as_slice()));
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(key)
    }

    /// A name for the key that gives nothing of it away. The database keeps it, to know its key again.
    pub fn fingerprint(&self) -> [u8; 16] {
        *derive::<16>(self.0.as_slice(), "master key fingerprint")
    }

    pub(super) fn bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, MasterKeyFault> {
        let key: [u8; LEN] = bytes.try_into().map_err(|_| MasterKeyFault::Length(bytes.len()))?;
        // /dev/zero, or a template that was never filled in.
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

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn decode_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() % 2 == 1 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks_exact(2) {
        let [high, low] = pair else { return None };
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}

fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok().map(Zeroizing::new)
}

/// What is wrong with the bytes that should be a master key. The bytes themselves are never quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyFault {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Neither base64 nor hex.
    #[error("it is neither base64url nor hex of 32 bytes")]
    NotEncoded,
    /// Bytes, but not 32.
    #[error("it holds {0} bytes instead of 32")]
    Length(usize),
    /// All bytes the same.
    #[error("all its bytes are the same, so it is no random key")]
    NotRandom,
}

/// Why there is no master key, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The text in the settings is no key.
    #[error(
        "keys.master_key is no master key: {0}. Set it to 32 random bytes, for example the output of \
         `openssl rand -base64 32`; for an existing database, to the key it was set up with"
    )]
    Text(MasterKeyFault),
    /// The file holds no key.
    #[error(
        "{} (keys.master_key_file) holds no master key: {fault}. Restore the file from your copy of it; only if no \
         database has been set up with it yet, delete it and start again, and a new one is made",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: MasterKeyFault,
    },
    /// The database has a key, but its file is not there.
    #[error(
        "{} (keys.master_key_file) does not exist, but the database was set up with a master key. Restore the file \
         from your copy of it, or set keys.master_key or keys.master_key_file to where it is",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error(
        "{} (keys.master_key_file) cannot be read: {cause}. Make it a file that the user who runs mintmark may read",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Others may read or write the file.
    #[error(
        "{path} (keys.master_key_file) is open to every user of this machine (mode {mode:04o}). Close it with \
         `chmod 0600 {path}` (or 0640, for a group), and consider whether somebody has read it",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A new file could not be written.
    #[error(
        "a new master key could not be written to {} (keys.master_key_file): {cause}. Let the user who runs mintmark \
         write there, or set keys.master_key to the output of `openssl rand -base64 32`",
        path.display()
    )]
    NotCreated {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A good key, but not this database's.
    #[error(
        "{origin} is not the master key of this database: its fingerprint is {found}, the database needs {expected}. Bring \
         back the key with that fingerprint (after `mintmark keys rewrap`, set keys.master_key_file to the new file), or \
         point database.url to the database of this key"
    )]
    Other {
        /// The fingerprint the database keeps, in base64url.
        expected: String,
        /// The fingerprint of the key that was found, in base64url.
        found: String,
        /// Where it was found.
        origin: String,
    },
    /// No random bytes to make one.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

#[cfg(test)]
#[path = "master_tests.rs"]
mod tests;
