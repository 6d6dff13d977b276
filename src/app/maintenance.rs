//! Commands on the database as a whole: migrate it, change its master key, back it up, restore it.

use std::path::Path;

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

/// Replaces the master key of the settings by the one in `file`, which is created if it does not exist. A running server is
/// not affected: it reads the master key only at its start. Returns where the new key came from.
///
/// # Errors
/// A [`StartError`]. After a failure at any moment, one of the two keys opens the database, and both are on disk.
pub async fn rewrap(settings: &Settings, core: &Core, file: &Path) -> Result<Origin, StartError> {
    // Whether it is the right key is checked where it is replaced.
    let from = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => MasterKey::parse(text.expose()).map_err(MasterKeyError::Text)?,
        MasterKeySetting::File { path, .. } => MasterKey::read(path)?,
    };
    let (to, origin) = MasterKey::ensure(file, &core.random)?;
    core.services.signing.replace_master_key(&Manager::command_line(), &from, &to).await?;
    Ok(origin)
}

/// Copies the SQLite database to a file that must not exist; see [`Storage::back_up`]. Returns its size in bytes.
///
/// # Errors
/// [`StartError::Storage`].
pub async fn back_up(settings: &Settings, file: &Path) -> Result<u64, StartError> {
    Ok(Storage::back_up(settings.database.url.expose(), file).await?)
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
