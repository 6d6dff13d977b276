//! Decrypts the root key of the database with the configured master key, or creates both at the first start.

use super::StartError;
use crate::config::{MasterKey as MasterKeySetting, Settings};
use crate::model::clock::Clock;
use crate::storage::{SealedRoot, Storage};
use crate::vault::master::{MasterKey, MasterKeyError, Origin};
use crate::vault::random::Random;
use crate::vault::root::RootKey;

/// Returns the root key of the database, and where its master key came from. A database that has a root key stores the
/// fingerprint of its master key and accepts no other master key.
pub(super) async fn open_root(
    settings: &Settings,
    storage: &Storage,
    random: &Random,
    clock: &dyn Clock,
) -> Result<(RootKey, Origin), StartError> {
    match storage.sealed_root().await? {
        Some(stored) => unseal(settings, &stored, random),
        None => first_start(settings, storage, random, clock).await,
    }
}

/// If several processes start on an empty database, the first one locks the row of the root key before it creates the
/// master key, and unlocks the row when the root key is stored. So the others find both keys.
async fn first_start(
    settings: &Settings,
    storage: &Storage,
    random: &Random,
    clock: &dyn Clock,
) -> Result<(RootKey, Origin), StartError> {
    let mut tx = storage.begin().await?;
    if let Some(stored) = tx.lock_sealed_root().await? {
        tx.rollback().await?;
        return unseal(settings, &stored, random);
    }
    let (master, origin) = master_key(settings, None, random)?;
    if let Origin::File(path) = &origin {
        tracing::warn!(
            master_key = %path.display(),
            "the database is new, but its master key was there before: if there was a database before, stop, check \
             database.url, and restore the database if it is lost"
        );
    }
    let root = RootKey::generate(random)?;
    let sealed =
        SealedRoot { master_fingerprint: master.fingerprint().to_vec(), sealed: root.seal(&master, random)? };
    tx.insert_sealed_root(&sealed, clock.now()).await?;
    tx.commit().await?;
    if let Origin::Created(path) = &origin {
        MasterKey::put_in_place(path)?;
    }
    Ok((root, origin))
}

fn unseal(
    settings: &Settings,
    stored: &SealedRoot,
    random: &Random,
) -> Result<(RootKey, Origin), StartError> {
    let (master, origin) = master_key(settings, Some(&stored.master_fingerprint), random)?;
    Ok((RootKey::unseal(&master, &stored.sealed)?, origin))
}

/// The configured master key. It must have this fingerprint; `None` is for a database that has no key yet: then a missing
/// key file at the default path is created.
fn master_key(
    settings: &Settings,
    fingerprint: Option<&[u8]>,
    random: &Random,
) -> Result<(MasterKey, Origin), MasterKeyError> {
    match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => {
            MasterKey::obtain(Some(text.expose()), "".as_ref(), fingerprint, random)
        }
        // A configured file must exist: creating it would hide a mistyped path.
        MasterKeySetting::File { path, explicit: true } if !path.exists() => Err(match fingerprint {
            Some(_) => MasterKeyError::Missing(path.clone()),
            None => MasterKeyError::NamedMissing(path.clone()),
        }),
        MasterKeySetting::File { path, .. } => MasterKey::obtain(None, path, fingerprint, random),
    }
}

/// The configured master key, without creating one. It must have this fingerprint; `None` is for a database that has no key
/// yet.
pub(super) fn configured_key(
    settings: &Settings,
    fingerprint: Option<&[u8]>,
) -> Result<MasterKey, MasterKeyError> {
    let key = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => MasterKey::parse(text.expose()).map_err(MasterKeyError::Text)?,
        MasterKeySetting::File { path, .. } => match MasterKey::read(path) {
            Err(MasterKeyError::Missing(path)) if fingerprint.is_none() => {
                return Err(MasterKeyError::NamedMissing(path));
            }
            found => found?,
        },
    };
    match fingerprint {
        Some(expected) if expected != key.fingerprint() => {
            let origin = match &settings.keys.master_key {
                MasterKeySetting::Inline(_) => "keys.master_key".to_owned(),
                MasterKeySetting::File { path, .. } => path.display().to_string(),
            };
            Err(key.is_other_than(expected, origin))
        }
        _ => Ok(key),
    }
}
