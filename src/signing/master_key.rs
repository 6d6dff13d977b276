//! Moves a database to another master key while it is served (`docs/keys.md`).

use super::Signing;
use crate::kernel::{Error, Manager};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::storage::{SealedRoot, StorageError};
use crate::vault::master::MasterKey;
use crate::vault::root::RootKey;

impl Signing {
    /// Seals the root key under `to` instead of `from`. Nothing that is sealed under the root key changes, so running
    /// processes are not affected.
    ///
    /// # Errors
    /// [`Error::Conflict`] if `to` seals it already, or if it is no longer sealed under `from`; [`Error::Denied`],
    /// [`Error::Crypto`], [`Error::Storage`].
    pub async fn replace_master_key(
        &self,
        caller: &Manager,
        from: &MasterKey,
        to: &MasterKey,
    ) -> Result<(), Error> {
        caller.must_manage_platform("the master key")?;
        let (before, after) = (from.fingerprint(), to.fingerprint());
        if before == after {
            return Err(Error::Conflict(
                "this is already the master key of the database: name a file that does not exist yet, and a new key is \
                 generated into it"
                    .to_owned(),
            ));
        }
        let mut tx = self.kernel.storage.begin().await?;
        let stored = self.kernel.storage.sealed_root().await?;
        let stored = stored.ok_or_else(|| StorageError::Damaged("the root key is missing".to_owned()))?;
        let moved = || {
            Error::Conflict(
                "the database was moved to another master key at the same time: set keys.master_key_file to the file of that \
                 key, and remove keys.master_key"
                    .to_owned(),
            )
        };
        if stored.master_fingerprint != before {
            return Err(moved());
        }
        let root = RootKey::unseal(from, &stored.sealed)?;
        let sealed = root.seal(to, &self.kernel.random)?;
        let new = SealedRoot { master_fingerprint: after.to_vec(), sealed };
        if !tx.replace_sealed_root(&before, &new).await? {
            return Err(moved());
        }
        let subject = Subject::platform("master key");
        self.ledger
            .audit(&mut tx, caller, Action::MasterKeyReplaced, subject, serde_json::Value::Null)
            .await?;
        self.ledger.commit(tx).await
    }
}
