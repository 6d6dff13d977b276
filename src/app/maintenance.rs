//! What commands do to a database as a whole: bring its schema up to date, change its master key, copy it, put a copy back.

use std::path::Path;

use super::{Core, StartError};
use crate::config::{MasterKey as MasterKeySetting, SecretText, Settings};
use crate::kernel::Caller;
use crate::storage::Storage;
use crate::vault::master::{MasterKey, MasterKeyError, Origin};

/// Brings the schema of the database up to date, and nothing else.
///
/// # Errors
/// [`StartError::Storage`].
pub async fn migrate(settings: &Settings) -> Result<(), StartError> {
    let storage = Storage::open(settings.database.url.expose(), settings.database.max_connections).await?;
    storage.close().await;
    Ok(())
}

/// Seals the database under the master key in `file`, which is made if it is not there, instead of the one that the
/// settings name. A process that serves goes on: it has no need of either after its start. Returns where the new key came
/// from.
///
/// # Errors
/// A [`StartError`]. Whatever the moment of a failure, one of the two keys opens the database, and both are on disk.
pub async fn rewrap(settings: &Settings, core: &Core, file: &Path) -> Result<Origin, StartError> {
    // Only read: whether it is the right one is judged where it is replaced.
    let from = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => MasterKey::parse(text.expose()).map_err(MasterKeyError::Text)?,
        MasterKeySetting::File { path, .. } => MasterKey::read(path)?,
    };
    let (to, origin) = MasterKey::ensure(file, &core.random)?;
    core.services.signing.replace_master_key(&Caller::command_line(), &from, &to).await?;
    Ok(origin)
}

/// Copies the SQLite database to a file that must not exist; see [`Storage::back_up`]. Returns its size in bytes.
///
/// # Errors
/// [`StartError::Storage`].
pub async fn back_up(settings: &Settings, file: &Path) -> Result<u64, StartError> {
    Ok(Storage::back_up(settings.database.url.expose(), file).await?)
}

/// Copies a backup beside where the SQLite database is to be; see [`Storage::stage`]. Returns the settings by which the
/// copy is opened.
///
/// # Errors
/// [`StartError::Storage`].
pub fn stage(settings: &Settings, file: &Path) -> Result<Settings, StartError> {
    let mut staged = settings.clone();
    staged.database.url = SecretText::new(Storage::stage(settings.database.url.expose(), file)?);
    Ok(staged)
}

/// Makes the staged copy the database; see [`Storage::put_in_place`].
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
