//! What requests about the audit tree are answered with: checkpoints, proofs that an event is in the tree (C2SP `tlog-proof`),
//! and proofs that a tree begins with the entries of an older checkpoint.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::hash::{Hash, node_hash, root_over};
use super::path::{self, Leaves, Subtree};
use crate::kernel::{Error, Reader};
use crate::ledger::Ledger;
use crate::model::audit::Place;
use crate::storage::{Storage, StorageError, StoredCheckpoint};

const LOG: &str = "audit log";
const EVENT: &str = "audit event";

/// How many hashes a block has: stored hashes are read in blocks.
const BLOCK: i64 = 256;

impl Ledger {
    /// The newest checkpoint of the tree `log`, by default of the newest tree. Every reader may have it, whatever their reach.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotCovered`] before the first checkpoint; [`Error::Storage`].
    pub async fn audit_checkpoint(&self, _: &Reader, log: Option<i64>) -> Result<StoredCheckpoint, Error> {
        let storage = &self.kernel.storage;
        let trees = storage.audit_trees().await?;
        let tree = match log {
            None => trees.last(),
            Some(log) => trees.iter().find(|tree| tree.log == log),
        };
        let tree = tree.ok_or(Error::NotFound(LOG))?;
        storage.last_checkpoint(tree.log).await?.ok_or(Error::NotCovered)
    }

    /// The proof that an event within reach is in its tree, as a `tlog-proof` with the entry as extra data. The entry is left
    /// out once it was deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotCovered`] until a checkpoint covers it; [`Error::Storage`].
    pub async fn audit_proof(&self, caller: &Reader, log: Option<i64>, seq: i64) -> Result<String, Error> {
        let storage = &self.kernel.storage;
        let trees = storage.audit_trees().await?;
        let log = log.or_else(|| trees.last().map(|tree| tree.log)).ok_or(Error::NotFound(LOG))?;
        if !storage.knows_leaf(&caller.reach, log, seq).await? {
            return Err(Error::NotFound(EVENT));
        }
        let covering = storage.last_checkpoint(log).await?.filter(|last| last.size > seq);
        let checkpoint = covering.ok_or(Error::NotCovered)?;
        let place = Place { log, seq };
        let found = storage.events_of_tree(log, seq, 1).await?.into_iter().next();
        let entry = found.and_then(|(event, _)| event.entry.filter(|_| event.place == Some(place)));
        let extra = entry.map_or_else(String::new, |entry| format!("extra {}\n", STANDARD.encode(entry)));
        let hashes = Hashes::new(storage, log).of_all(&path::inclusion(seq, checkpoint.size)).await?;
        Ok(format!("c2sp.org/tlog-proof@v1\n{extra}index {seq}\n{}\n{}", lines(&hashes), checkpoint.note))
    }

    /// The proof that the tree of the newest checkpoint begins with the tree of `from` leaves, in the form that witnesses take
    /// (C2SP `tlog-witness`): the line `old {from}`, the hashes, an empty line, the checkpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for a size that no checkpoint has reached yet; [`Error::NotCovered`] before the first
    /// checkpoint; [`Error::Storage`].
    pub async fn audit_consistency(
        &self,
        caller: &Reader,
        log: Option<i64>,
        from: i64,
    ) -> Result<String, Error> {
        let checkpoint = self.audit_checkpoint(caller, log).await?;
        if from > checkpoint.size {
            return Err(Error::NotFound("checkpoint"));
        }
        let mut hashes = Hashes::new(&self.kernel.storage, checkpoint.log);
        let hashes = hashes.of_all(&path::consistency(from, checkpoint.size)).await?;
        Ok(format!("old {from}\n{}\n{}", lines(&hashes), checkpoint.note))
    }
}

fn lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| STANDARD.encode(hash) + "\n").collect()
}

/// The stored hashes of a tree, each block read once.
struct Hashes<'a> {
    storage: &'a Storage,
    log: i64,
    blocks: HashMap<(i64, i64), Vec<Hash>>,
}

impl<'a> Hashes<'a> {
    fn new(storage: &'a Storage, log: i64) -> Self {
        Self { storage, log, blocks: HashMap::new() }
    }

    async fn of_all(&mut self, all: &[Leaves]) -> Result<Vec<Hash>, Error> {
        let mut hashes = Vec::with_capacity(all.len());
        for leaves in all {
            let mut subtrees = Vec::new();
            for subtree in leaves.subtrees() {
                subtrees.push(self.of_subtree(subtree).await?);
            }
            hashes.push(root_over(&subtrees));
        }
        Ok(hashes)
    }

    async fn of_subtree(&mut self, subtree: Subtree) -> Result<Hash, Error> {
        let (level, from, to) = subtree.stored();
        // These are at most half a block and begin at a multiple of their number, so they are in one block.
        let block = from / BLOCK;
        if !self.blocks.contains_key(&(level, block)) {
            let read = self.read(level, block * BLOCK).await?;
            self.blocks.insert((level, block), read);
        }
        let hashes = self.blocks.get(&(level, block)).map_or(&[][..], Vec::as_slice);
        let within = |position: i64| usize::try_from(position - block * BLOCK).unwrap_or(usize::MAX);
        let found = hashes.get(within(from)..within(to)).ok_or_else(missing)?;
        let mut row = found.to_vec();
        while row.len() > 1 {
            row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.first().copied().ok_or_else(missing)
    }

    async fn read(&self, level: i64, from: i64) -> Result<Vec<Hash>, Error> {
        let to = from + BLOCK;
        let numbered: Vec<(i64, Vec<u8>)> = if level == 0 {
            let leaves = self.storage.audit_leaves(self.log, from, to).await?;
            leaves.into_iter().map(|leaf| (leaf.seq, leaf.leaf)).collect()
        } else {
            let nodes = self.storage.audit_nodes(self.log, level, from, to).await?;
            nodes.into_iter().map(|node| (node.position, node.hash)).collect()
        };
        let hashes = numbered.iter().zip(from..).map(|((position, hash), expected)| {
            let hash = hash.as_slice().try_into().ok();
            hash.filter(|_| *position == expected).ok_or_else(missing)
        });
        hashes.collect()
    }
}

fn missing() -> Error {
    StorageError::Damaged(
        "a hash of the audit tree is missing or damaged: run `mintmark audit verify`".to_owned(),
    )
    .into()
}
