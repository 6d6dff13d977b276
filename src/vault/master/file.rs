//! The file of a master key: read, or created with a new key.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{LEN, MasterKey, MasterKeyError, MasterKeyFault, Origin};
use crate::vault::random::Random;

/// How many bytes of a file are read: more than any form of the key has.
const FILE_LIMIT: u64 = 256;

impl MasterKey {
    /// Reads the key from a file, in any of its forms.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let unreadable = |cause| MasterKeyError::Unreadable { path: path.to_owned(), cause };
        let file = File::open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing(path.to_owned()),
            _ => unreadable(cause),
        })?;
        // The metadata of the open file, not of the path, so that the file that is checked is the one that is read.
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

    /// Generates the key of a new database into a file beside `path`. If a start ends before the database has the key, there is
    /// then no file at `path` that seems to belong to a lost database. The next start uses the key beside `path`.
    pub(super) fn create_beside(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let beside = beside(path);
        match Self::read(&beside) {
            Ok(key) => {
                tracing::info!(
                    key = %beside.display(),
                    "an earlier start was interrupted before the database had its master key: going on with that key"
                );
                return Ok(key);
            }
            Err(MasterKeyError::Missing(_)) => {}
            // An earlier start was interrupted while it wrote the file. No database has this key.
            Err(MasterKeyError::File { .. }) => std::fs::remove_file(&beside)
                .map_err(|cause| MasterKeyError::NotCreated { path: beside.clone(), cause })?,
            Err(error) => return Err(error),
        }
        Self::create(&beside, random)
    }

    /// Puts the key of a database in its place, now that the database has it.
    pub fn put_in_place(path: &Path) -> Result<(), MasterKeyError> {
        let failed = |cause| MasterKeyError::NotCreated { path: path.to_owned(), cause };
        match std::fs::rename(beside(path), path) {
            // Another process that starts was faster.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && path.exists() => {}
            outcome => outcome.map_err(failed)?,
        }
        File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Takes the key with this fingerprint from beside `path` and puts it in its place. A start that was interrupted, or is
    /// still under way, left it there.
    pub(super) fn take_from_beside(path: &Path, fingerprint: &[u8]) -> Result<Self, MasterKeyError> {
        match Self::read(&beside(path)) {
            Ok(key) if key.fingerprint() == fingerprint => {
                Self::put_in_place(path)?;
                Ok(key)
            }
            // Another process may just have put the key in its place.
            _ => Self::read(path),
        }
    }

    /// The key to which a database is moved: generated into a new file, or read from the existing file. In both cases the file
    /// and its folder are on disk before this returns, and the key is the one in the file.
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

    /// A new random key, which is not stored anywhere.
    ///
    /// # Errors
    /// [`MasterKeyError::Random`].
    pub fn generate(random: &Random) -> Result<Self, MasterKeyError> {
        Ok(Self(Zeroizing::new(random.fill()?)))
    }

    /// The key as it is written to a file: base64url and a line feed.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()));
        text.push('\n');
        text
    }

    /// Generates a key and writes it to `path`, which must not exist. The file (mode 0600) and its folder are on disk
    /// before this returns, so that nothing is sealed under a key that a power cut could lose.
    pub fn create(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let key = Self::generate(random)?;
        let failed = |cause| MasterKeyError::NotCreated { path: path.to_owned(), cause };
        let folder = folder_of(path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(key.to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(key)
    }
}

/// The file for the key that belongs at `path`, until the database has the key.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
