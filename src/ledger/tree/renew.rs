//! Begins a new tree with a new key: after a restore, since the events after the backup are lost and the old tree cannot go
//! on as it was, or when the key may have been stolen. The first entry names the last checkpoint of the old tree.

use serde_json::{Value, json};

use super::checkpoint::log;
use super::keys::NewKey;
use crate::kernel::{Error, Manager};
use crate::ledger::Ledger;
use crate::ledger::subject::Subject;
use crate::model::audit::Action;
use crate::storage::{StorageError, Tx};

impl Ledger {
    /// Ends the tree with a last checkpoint and begins the next one, in the transaction `tx`. Call it before anything adds an
    /// event to `tx`, so that its own event is the first one of the new tree.
    pub(crate) async fn begin_new_tree(
        &self,
        tx: &mut Tx,
        caller: &Manager,
        reason: &str,
    ) -> Result<(), Error> {
        let tree = tx.lock_audit_tree().await?;
        let signed = match self.signed(&tree).await {
            Ok(signed) => signed,
            // A tree with a gap has to end too.
            Err(error @ Error::Storage(StorageError::Damaged(_))) => {
                tracing::error!(%error, "the old audit tree ends without a last checkpoint");
                None
            }
            Err(error) => return Err(error),
        };
        let last = match signed {
            Some(signed) => {
                for node in &signed.nodes {
                    tx.insert_audit_node(tree.log, node.level, node.position, &node.hash).await?;
                }
                tx.insert_checkpoint(&signed.checkpoint).await?;
                self.queue_checkpoint(tx, &tree, &signed.checkpoint).await?;
                log(&signed.checkpoint);
                Some(signed.checkpoint)
            }
            None => self.kernel.storage.last_checkpoint(tree.log).await?,
        };
        let key = NewKey::generate(&self.kernel, tree.log + 1)?;
        let now = self.kernel.clock.now();
        tx.replace_audit_tree(tree.log, &key.origin, &key.public, &key.sealed, now).await?;
        let detail = json!({
            "origin": key.origin,
            "reason": reason,
            "previous_origin": tree.origin,
            "last_checkpoint": last.map_or(Value::Null, |last| last.note.into()),
        });
        self.audit(tx, caller, Action::AuditLogBegun, Subject::platform(&key.origin), detail).await
    }

    /// Begins a new tree with a new key.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`], [`Error::Crypto`]; then the old tree continues, unless only the last step
    /// failed, which reads the keys again.
    pub async fn renew_audit_key(&self, caller: &Manager) -> Result<(), Error> {
        caller.must_manage_platform("the audit trail")?;
        // Numbers events and signs a checkpoint first, so that the transaction is short.
        self.keep_audit_tree().await?;
        let mut tx = self.kernel.storage.begin().await?;
        self.begin_new_tree(&mut tx, caller, "new_key").await?;
        self.commit(tx).await?;
        self.reload_audit_keys().await
    }
}
