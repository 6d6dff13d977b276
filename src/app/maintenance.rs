//! Commands on the database as a whole: migrate it, change its master key, back it up, restore it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Core, StartError};
use crate::config::{MasterKey as MasterKeySetting, SecretText, Settings};
use crate::kernel::Manager;
use crate::storage::Storage;
use crate::vault::master::{MasterKey, MasterKeyError, Origin};

/// Migrates the database.
///
/// # Errors
/// [`StartError::Storage`].
pub async fn migrate(settings: &Settings) -> Result<(), StartError> {
    let storage = Storage::open(settings.database.url.expose(), settings.database.max_connections).await?;
    storage.close().await;
    Ok(())
}

/// Replaces the master key of the database. The settings must name the old key. The new key is read from `file`, which is
/// created with a random key if it does not exist. A running server is not affected: it reads the master key only at its start.
/// Returns where the new key came from.
///
/// # Errors
/// A [`StartError`]. After a failure at any moment, either the configured key or the one in `file` opens the database.
pub async fn rewrap(
    caller: &Manager,
    settings: &Settings,
    core: &Core,
    file: &Path,
) -> Result<Origin, StartError> {
    // `replace_master_key` checks whether this is the key of the database.
    let from = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => MasterKey::parse(text.expose()).map_err(MasterKeyError::Text)?,
        MasterKeySetting::File { path, .. } => MasterKey::read(path)?,
    };
    let (to, origin) = MasterKey::ensure(file, &core.random)?;
    core.services.signing.replace_master_key(caller, &from, &to).await?;
    Ok(origin)
}

/// A backup, and the master key that opens it.
#[derive(Debug)]
pub struct BackedUp {
    /// The size of the backup in bytes.
    pub bytes: u64,
    /// The master key of the backup, which has to be kept in another place.
    pub key: BackupKey,
}

/// Where the master key of a backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupKey {
    /// The key is the configured one. Holds the name of the setting that contains the key, or the path of its file.
    Configured(String),
    /// The key is not the configured one, for example after `keys rewrap` while the settings still name the old key.
    Other {
        /// The fingerprint of the key, in base64url.
        fingerprint: String,
        /// A file that holds the key, in the folder of the configured key file; `None` if no such file was found.
        file: Option<PathBuf>,
    },
    /// The database has not been served yet, and has no master key.
    None,
}

/// Copies the SQLite database to a file that must not exist; see [`Storage::back_up`]. With `verify` the copy is read to its
/// last page.
///
/// # Errors
/// [`StartError::Storage`].
pub async fn back_up(settings: &Settings, file: &Path, verify: bool) -> Result<BackedUp, StartError> {
    let backup = Storage::back_up(settings.database.url.expose(), file).await?;
    if verify {
        Storage::verify_backup(file).await?;
    }
    Ok(BackedUp { bytes: backup.bytes, key: backup_key(settings, backup.master_fingerprint.as_deref()) })
}

fn backup_key(settings: &Settings, fingerprint: Option<&[u8]>) -> BackupKey {
    let Some(fingerprint) = fingerprint else { return BackupKey::None };
    let fits = |key: &MasterKey| key.fingerprint() == fingerprint;
    let is_in = |path: &Path| MasterKey::read(path).is_ok_and(|key| fits(&key));
    let beside = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) if MasterKey::parse(text.expose()).is_ok_and(|key| fits(&key)) => {
            return BackupKey::Configured("keys.master_key".to_owned());
        }
        MasterKeySetting::File { path, .. } if is_in(path) => {
            return BackupKey::Configured(path.display().to_string());
        }
        MasterKeySetting::Inline(_) => None,
        MasterKeySetting::File { path, .. } => path.parent().and_then(|folder| {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
            files.filter(|file| file.is_file()).find(|file| is_in(file))
        }),
    };
    BackupKey::Other { fingerprint: URL_SAFE_NO_PAD.encode(fingerprint), file: beside }
}

/// Copies a backup next to the path of the SQLite database; see [`Storage::stage`]. Returns the settings that open the copy.
///
/// # Errors
/// [`StartError::Storage`].
pub fn stage(settings: &Settings, file: &Path) -> Result<Settings, StartError> {
    let mut staged = settings.clone();
    staged.database.url = SecretText::new(Storage::stage(settings.database.url.expose(), file)?);
    Ok(staged)
}

/// Renames the staged copy to the database; see [`Storage::put_in_place`].
///
/// # Errors
/// [`StartError::Storage`].
pub fn put_in_place(settings: &Settings) -> Result<(), StartError> {
    Ok(Storage::put_in_place(settings.database.url.expose())?)
}

/// Removes the staged copy; see [`Storage::discard_staged`].
///
/// # Errors
/// [`StartError::Storage`].
pub fn discard_staged(settings: &Settings) -> Result<(), StartError> {
    Ok(Storage::discard_staged(settings.database.url.expose())?)
}
