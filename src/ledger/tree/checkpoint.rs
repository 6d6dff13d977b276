//! Signs checkpoints: the root of the tree over all events so far. If somebody changes one of these events afterwards, a copy
//! of the checkpoint shows it.

use super::hash::{Edge, Node};
use super::keys::signing_pair;
use super::note;
use crate::kernel::Error;
use crate::ledger::Ledger;
use crate::storage::{AuditTree, StorageError, StoredCheckpoint, Tx};

/// How many leaves are read at once.
pub(super) const LEAVES_AT_ONCE: i64 = 4_096;

/// A checkpoint to be stored, with the full subtrees that were completed since the last one.
pub(super) struct Signed {
    pub(super) checkpoint: StoredCheckpoint,
    pub(super) nodes: Vec<Node>,
}

impl Ledger {
    /// Signs and stores a checkpoint if the tree has grown since the last one, and no event waits for a number.
    pub(super) async fn sign_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Error> {
        let storage = &self.kernel.storage;
        let trees = storage.audit_trees().await?;
        let Some(tree) = trees.last().filter(|tree| tree.opened_at.is_some()) else { return Ok(None) };
        if storage.count_waiting_events(1).await? > 0 {
            return Ok(None);
        }
        let Some(signed) = self.signed(tree).await? else { return Ok(None) };
        let mut tx = storage.begin().await?;
        for node in &signed.nodes {
            tx.insert_audit_node(tree.log, node.level, node.position, &node.hash).await?;
        }
        let is_new = tx.insert_checkpoint(&signed.checkpoint).await?;
        if is_new {
            self.queue_checkpoint(&mut tx, tree, &signed.checkpoint).await?;
        }
        self.commit(tx).await?;
        if is_new {
            log(&signed.checkpoint);
        }
        Ok(is_new.then_some(signed.checkpoint))
    }

    /// Queues a checkpoint for the webhooks that want it.
    pub(super) async fn queue_checkpoint(
        &self,
        tx: &mut Tx,
        tree: &AuditTree,
        checkpoint: &StoredCheckpoint,
    ) -> Result<(), Error> {
        let origin = tree.origin.as_deref().unwrap_or_default();
        self.announce_checkpoint(tx, origin, checkpoint.size, &checkpoint.note).await
    }

    /// A checkpoint over all leaves of a tree; `None` if the last one covers them, or the tree has no key.
    pub(super) async fn signed(&self, tree: &AuditTree) -> Result<Option<Signed>, Error> {
        let (Some(origin), Some(sealed)) = (&tree.origin, &tree.sealed_key) else { return Ok(None) };
        let storage = &self.kernel.storage;
        let mut edge = match storage.last_checkpoint(tree.log).await? {
            Some(last) => Edge::read(last.size, &last.edge).ok_or_else(|| {
                StorageError::Damaged("audit_checkpoints.edge does not fit its size".to_owned())
            })?,
            None => Edge::default(),
        };
        if edge.size() >= tree.size {
            return Ok(None);
        }
        let mut nodes = Vec::new();
        while edge.size() < tree.size {
            let (from, to) = (edge.size(), tree.size.min(edge.size() + LEAVES_AT_ONCE));
            for stored in storage.audit_leaves(tree.log, from, to).await? {
                match <[u8; 32]>::try_from(stored.leaf.as_slice()) {
                    Ok(leaf) if stored.seq == edge.size() => edge.push(leaf, |node| nodes.push(node)),
                    _ => return Err(gap(edge.size())),
                }
            }
            if edge.size() != to {
                return Err(gap(edge.size()));
            }
        }
        let pair = signing_pair(&self.kernel, origin, sealed)?;
        let note = note::sign(origin, edge.size(), &edge.root(), &pair).ok_or_else(|| {
            Error::Crypto("the public key of the audit tree does not have 32 bytes".to_owned())
        })?;
        let checkpoint = StoredCheckpoint {
            log: tree.log,
            size: edge.size(),
            at: self.kernel.clock.now(),
            edge: edge.bytes(),
            note,
        };
        Ok(Some(Signed { checkpoint, nodes }))
    }
}

fn gap(seq: i64) -> Error {
    StorageError::Damaged(format!(
        "the audit event number {seq} is missing or damaged, so no checkpoint is signed: run `mintmark audit verify`"
    ))
    .into()
}

/// Writes a checkpoint to the log of the process, so that there is a copy of it where the log is kept.
pub(super) fn log(checkpoint: &StoredCheckpoint) {
    tracing::info!(
        log = checkpoint.log,
        size = checkpoint.size,
        checkpoint = checkpoint.note,
        "audit checkpoint"
    );
}
