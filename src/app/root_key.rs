//! Opens the root key of the database with the master key that the settings name, or makes both at the first start.

use super::StartError;
use crate::config::{MasterKey as MasterKeySetting, Settings};
use crate::model::clock::Clock;
use crate::storage::{SealedRoot, Storage, StorageError};
use crate::vault::master::{MasterKey, MasterKeyError, Origin};
use crate::vault::random::Random;
use crate::vault::root::RootKey;

/// The root key of the database, made if it has none. A database that has one knows its master key by the fingerprint
/// and takes no other.
pub(super) async fn open_root(
    settings: &Settings,
    storage: &Storage,
    random: &Random,
    clock: &dyn Clock,
) -> Result<(RootKey, Origin), StartError> {
    let stored = storage.sealed_root().await?;
    let fingerprint = stored.as_ref().map(|root| root.master_fingerprint.as_slice());
    let (master, origin) = master_key(settings, fingerprint, random)?;
    if let Some(stored) = stored {
        return Ok((RootKey::unseal(&master, &stored.sealed)?, origin));
    }
    let root = RootKey::generate(random)?;
    let sealed =
        SealedRoot { master_fingerprint: master.fingerprint().to_vec(), sealed: root.seal(&master, random)? };
    let mut tx = storage.begin().await?;
    let first = tx.insert_sealed_root(&sealed, clock.now()).await?;
    tx.commit().await?;
    if first {
        if let Origin::File(path) = &origin {
            tracing::warn!(
                master_key = %path.display(),
                "the database is new, but its master key was there before: if there was another database, stop, look \
                 for it where database.url says, and restore it if it is lost"
            );
        }
        return Ok((root, origin));
    }
    // Another process was first to serve this database; its root key holds, if it has the same master key.
    let stored = storage
        .sealed_root()
        .await?
        .ok_or_else(|| StorageError::Damaged("the root key is gone".to_owned()))?;
    let (master, origin) = master_key(settings, Some(&stored.master_fingerprint), random)?;
    Ok((RootKey::unseal(&master, &stored.sealed)?, origin))
}

/// The master key that the settings name, for a database that keeps this fingerprint.
fn master_key(
    settings: &Settings,
    fingerprint: Option<&[u8]>,
    random: &Random,
) -> Result<(MasterKey, Origin), MasterKeyError> {
    match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => {
            MasterKey::obtain(Some(text.expose()), "".as_ref(), fingerprint, random)
        }
        // A file that an operator named must be there: making it would hide a mistyped path.
        MasterKeySetting::File { path, explicit: true } if !path.exists() => {
            Err(MasterKeyError::Missing(path.clone()))
        }
        MasterKeySetting::File { path, .. } => MasterKey::obtain(None, path, fingerprint, random),
    }
}
