//! Why there is no master key, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::vault::random::RandomUnavailable;

/// What is wrong with the bytes that should be a master key. The bytes themselves are never quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyFault {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// Neither base64 nor hex.
    #[error("it is not base64, base64url or hex")]
    NotEncoded,
    /// Not 32 bytes; how many there are.
    #[error("it has {0} bytes instead of 32")]
    Length(usize),
    /// All bytes are the same.
    #[error("all its bytes are the same, so it is not random")]
    NotRandom,
}

/// Why there is no master key. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The text in the settings is not a key.
    #[error(
        "keys.master_key is not a master key: {0}. Set it to 32 random bytes, for example the output of \
         `openssl rand -base64 32`; for an existing database, to the key it was set up with"
    )]
    Text(MasterKeyFault),
    /// The file holds no key.
    #[error(
        "the master key file {path} does not contain a master key: {fault}. Restore the file from your copy of it; only if no \
         database has been set up with it yet, delete it and make a new one with `mintmark keys generate-master {path}`",
        path = path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: MasterKeyFault,
    },
    /// The database has a master key, but the file does not exist.
    #[error(
        "{} (keys.master_key_file) does not exist, but the database was set up with a master key. Restore the file \
         from your copy of it, or set keys.master_key_file to where the file is now, or keys.master_key to the key itself",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file that the settings name does not exist, and it is not known whether a database needs it.
    #[error(
        "{path} (keys.master_key_file) does not exist, and a key file that the settings name is not created automatically. For a \
         new database make it with `mintmark keys generate-master {path}`; for an existing one restore the file from your \
         copy of it",
        path = .0.display()
    )]
    NamedMissing(PathBuf),
    /// The file cannot be read.
    #[error(
        "the master key file {} cannot be read: {cause}. Make it a file that the user who runs mintmark may read",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Every user may read or write the file.
    #[error(
        "the master key file {path} is open to every user of this machine (mode {mode:04o}). Close it with \
         `chmod 0600 {path}` (or 0640, for a group), and consider whether somebody has read the key",
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
        "a new master key could not be written to {}: {cause}. The file must not exist yet, and the user who runs mintmark \
         must be able to create it. For a new database, you can set keys.master_key to the output of \
         `openssl rand -base64 32` instead",
        path.display()
    )]
    NotCreated {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The key is valid, but belongs to another database.
    #[error(
        "{origin} is not the master key of this database: its fingerprint is {found}, the database needs {expected}. Put \
         back the key with that fingerprint (after `mintmark keys rewrap`, set keys.master_key_file to the new file), or \
         point database.url to the database of this key"
    )]
    Other {
        /// The fingerprint the database keeps, in base64url.
        expected: String,
        /// The fingerprint of the key that was found, in base64url.
        found: String,
        /// Where the key was found.
        origin: String,
    },
    /// There are no random bytes to generate a key.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}
