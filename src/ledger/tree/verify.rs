//! The check of the whole audit trail: every entry against its hash and its columns, and the hashes against every checkpoint,
//! those in the database and those that were kept elsewhere.

use std::collections::VecDeque;

use super::checkpoint::LEAVES_AT_ONCE;
use super::hash::{Edge, Hash, Node, leaf_hash};
use super::keys::verifier_key;
use super::note::{AuditKey, Checkpoint};
use crate::kernel::{Error, Manager};
use crate::ledger::Ledger;
use crate::model::audit::{AuditEvent, Recorded};
use crate::model::audit_entry::event_of;
use crate::storage::{AuditTree, StoredCheckpoint};

/// How many rows are read at once.
const ROWS: u32 = 1_000;
/// How many findings a tree lists at most, since there may be one for each entry.
const FINDINGS_MAX: usize = 100;

/// What the check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Each tree, the oldest first.
    pub logs: Vec<CheckedLog>,
    /// How many events wait for a number.
    pub waiting: i64,
    /// What is wrong outside of the trees.
    pub findings: Vec<String>,
}

impl Verification {
    /// Everything that is wrong, each with its tree.
    pub fn findings(&self) -> Vec<String> {
        let of_logs = self
            .logs
            .iter()
            .flat_map(|log| log.findings.iter().map(move |found| format!("{}: {found}", log.origin)));
        self.findings.iter().cloned().chain(of_logs).collect()
    }
}

/// What the check found in one tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedLog {
    /// Its number.
    pub log: i64,
    /// Its name.
    pub origin: String,
    /// How many entries it has.
    pub entries: i64,
    /// How many entries have no bytes any more, because they were deleted.
    pub pruned: i64,
    /// How many entries are from before there was a tree.
    pub imported: i64,
    /// How many entries the newest checkpoint of the database covers.
    pub covered: i64,
    /// How many checkpoints were compared, those that were kept elsewhere included.
    pub checkpoints: i64,
    /// What is wrong.
    pub findings: Vec<String>,
}

/// A tree while it is checked.
struct Check {
    result: CheckedLog,
    /// `None` after a gap or a damaged hash, when no root can be computed any more.
    edge: Option<Edge>,
    nodes: Vec<Node>,
    /// The id of the last event whose bytes were deleted because of its age.
    pruned_to: String,
}

impl Check {
    fn found(&mut self, what: String) {
        if self.result.findings.len() < FINDINGS_MAX {
            self.result.findings.push(what);
        }
    }

    /// Checks the next row of a tree.
    fn row(&mut self, stored: &Recorded, leaf: &[u8]) {
        let (expected, seq) = (self.result.entries, stored.place.map_or(-1, |place| place.seq));
        if seq != expected {
            self.found(format!("{} missing", numbers(expected, seq)));
            self.edge = None;
        }
        self.result.entries = seq + 1;
        let hash = if let Some(text) = &stored.entry {
            self.entry(seq, text, stored, leaf);
            Some(leaf_hash(text.as_bytes()))
        } else {
            self.result.pruned += 1;
            if stored.event_id > self.pruned_to {
                self.found(format!(
                    "the bytes of entry {seq} were removed before `audit.keep_days` allowed it"
                ));
            }
            Hash::try_from(leaf).ok()
        };
        match (hash, &mut self.edge) {
            (Some(hash), Some(edge)) => edge.push(hash, |node| self.nodes.push(node)),
            _ => self.edge = None,
        }
    }

    fn entry(&mut self, seq: i64, text: &str, stored: &Recorded, leaf: &[u8]) {
        if leaf_hash(text.as_bytes()) != leaf {
            self.found(format!("entry {seq} was changed: its bytes do not have the hash in the tree"));
        }
        self.result.imported += i64::from(text.contains("\"imported\":true"));
        let Some(event) = event_of(text) else {
            self.found(format!("entry {seq} was changed: it is not an event"));
            return;
        };
        let differing = differing_columns(&stored.event, &event);
        if !differing.is_empty() {
            self.found(format!(
                "the columns of entry {seq}, by which it is found, were changed: {}",
                differing.join(", ")
            ));
        }
    }

    /// Compares the tree as it is now with a checkpoint of its size.
    fn checkpoint(&mut self, checkpoint: &Checkpoint, whose: &str) {
        let Some(edge) = self.edge.as_ref().filter(|edge| edge.size() == checkpoint.size) else { return };
        self.result.checkpoints += 1;
        if edge.root() != checkpoint.root {
            let size = checkpoint.size;
            self.found(format!(
                "the first {size} entries do not match {whose}: some were changed, moved, added or removed"
            ));
        }
    }
}

/// The columns that differ from the entry. Events are found by these columns.
fn differing_columns(stored: &AuditEvent, entered: &AuditEvent) -> Vec<&'static str> {
    let columns = [
        ("event_id", stored.event_id == entered.event_id),
        ("at", stored.at == entered.at),
        ("actor", stored.actor.name == entered.actor.name),
        ("action", stored.action == entered.action),
        ("workspace_id", stored.workspace_id == entered.workspace_id),
        ("client_id", stored.client_id == entered.client_id),
        ("target", stored.target == entered.target),
        ("request_id", stored.actor.request_id == entered.actor.request_id),
        ("source_ip", stored.actor.source_ip == entered.actor.source_ip),
    ];
    columns.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
}

/// Entries from number `from` to before `to`, in words, with the verb.
fn numbers(from: i64, to: i64) -> String {
    if to - from == 1 { format!("entry {from} is") } else { format!("the entries {from} to {} are", to - 1) }
}

impl Ledger {
    /// Checks the whole audit trail, also against `outside`, which are checkpoints that were kept elsewhere. Events may be
    /// added meanwhile.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn verify_audit(
        &self,
        caller: &Manager,
        outside: &[Checkpoint],
    ) -> Result<Verification, Error> {
        caller.must_manage_platform("the audit trail")?;
        let storage = &self.kernel.storage;
        let trees = storage.audit_trees().await?;
        let mut all = Verification::default();
        for tree in &trees {
            let of_tree: Vec<&Checkpoint> =
                outside.iter().filter(|one| Some(&one.origin) == tree.origin.as_ref()).collect();
            all.logs.push(self.verify_tree(tree, &of_tree).await?);
        }
        for one in outside {
            if trees.iter().all(|tree| tree.origin.as_ref() != Some(&one.origin)) {
                all.findings.push(format!("there is no log {}, of which a checkpoint was given", one.origin));
            }
        }
        let astray = storage.count_events_astray().await?;
        if astray > 0 {
            all.findings.push(format!("events with a number in a log that does not exist: {astray}"));
        }
        all.waiting = storage.count_waiting_events(u32::MAX).await?;
        Ok(all)
    }

    async fn verify_tree(&self, tree: &AuditTree, outside: &[&Checkpoint]) -> Result<CheckedLog, Error> {
        let storage = &self.kernel.storage;
        let origin = tree.origin.clone().unwrap_or_else(|| format!("log {}", tree.log));
        let mut check = Check {
            result: CheckedLog { log: tree.log, origin, ..CheckedLog::default() },
            edge: Some(Edge::default()),
            nodes: Vec::new(),
            pruned_to: storage.pruned_to().await?,
        };
        let key = verifier_key(tree);
        let mut kept = VecDeque::new();
        self.next_checkpoints(&mut check, key.as_ref(), &mut kept).await?;
        for one in outside {
            self::signature(&mut check, one, key.as_ref(), "the given checkpoint");
        }
        loop {
            let (size, from) = (tree.size, check.result.entries);
            let rows = storage.events_of_tree(tree.log, from, ROWS).await?;
            let count = rows.len();
            for (stored, leaf) in rows.iter().filter(|(row, _)| row.place.is_some_and(|at| at.seq < size)) {
                check.row(stored, leaf);
                while kept.front().is_some_and(|one: &Checkpoint| one.size <= check.result.entries) {
                    if let Some(one) = kept.pop_front() {
                        check.checkpoint(&one, "the checkpoint");
                    }
                    if kept.is_empty() {
                        self.next_checkpoints(&mut check, key.as_ref(), &mut kept).await?;
                    }
                }
                let entries = check.result.entries;
                for one in outside.iter().filter(|one| one.size == entries) {
                    check.checkpoint(one, "the given checkpoint");
                }
            }
            if count < ROWS as usize || check.result.entries == from {
                break;
            }
        }
        self.verify_end(tree, &mut check, outside).await?;
        self.verify_nodes(tree, &mut check).await?;
        Ok(check.result)
    }

    /// Reads the next checkpoints of the database, and checks their signatures.
    async fn next_checkpoints(
        &self,
        check: &mut Check,
        key: Option<&AuditKey>,
        kept: &mut VecDeque<Checkpoint>,
    ) -> Result<(), Error> {
        let log = check.result.log;
        for stored in self.kernel.storage.checkpoints(log, check.result.covered, ROWS).await? {
            check.result.covered = stored.size;
            match read(&stored) {
                Some(one) if one.size == stored.size && one.origin == check.result.origin => {
                    self::signature(check, &one, key, "the checkpoint");
                    kept.push_back(one);
                }
                _ => check.found(format!("the checkpoint over {} entries was changed", stored.size)),
            }
        }
        Ok(())
    }

    /// Checks that no entry is missing at the end of the tree, and that the size of the tree counts all entries.
    async fn verify_end(
        &self,
        tree: &AuditTree,
        check: &mut Check,
        outside: &[&Checkpoint],
    ) -> Result<(), Error> {
        let entries = check.result.entries;
        let known = outside.iter().map(|one| one.size).chain([tree.size, check.result.covered]).max();
        if let Some(known) = known.filter(|known| *known > entries) {
            check.found(format!("{} missing at the end", numbers(entries, known)));
        }
        let storage = &self.kernel.storage;
        if let Some((added, _)) = storage.events_of_tree(tree.log, tree.size, 1).await?.first() {
            let size_now =
                storage.audit_trees().await?.iter().find(|one| one.log == tree.log).map(|one| one.size);
            let seq = added.place.map_or(0, |place| place.seq);
            if size_now.is_none_or(|size| seq >= size) {
                check.found(format!("entry {seq} was added beyond the recorded size of the log"));
            }
        }
        Ok(())
    }

    /// Compares the stored hashes of full subtrees, from which proofs are made, with hashes that are computed from the entries.
    async fn verify_nodes(&self, tree: &AuditTree, check: &mut Check) -> Result<(), Error> {
        if check.edge.is_none() {
            return Ok(());
        }
        for level in 1_i64.. {
            let covered = check.result.covered;
            let computed: Vec<Node> = check.nodes.extract_if(.., |node| node.level == level).collect();
            if computed.is_empty() {
                return Ok(());
            }
            for nodes in computed.chunks(usize::try_from(LEAVES_AT_ONCE).unwrap_or(1)) {
                let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else { continue };
                let stored = self
                    .kernel
                    .storage
                    .audit_nodes(tree.log, level, first.position, last.position + 1)
                    .await?;
                let mut stored = stored.into_iter().peekable();
                for node in nodes {
                    let found = stored.next_if(|one| one.position == node.position);
                    let is_right = match found {
                        Some(found) => found.hash == node.hash,
                        // A hash is stored only with the first checkpoint that covers its subtree.
                        None => node.position + 1 > covered >> (8 * level),
                    };
                    if !is_right {
                        let position = node.position;
                        check.found(format!(
                            "the stored hash {position} of level {level} is missing or was changed"
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

fn read(stored: &StoredCheckpoint) -> Option<Checkpoint> {
    Checkpoint::read(&stored.note).ok()
}

fn signature(check: &mut Check, one: &Checkpoint, key: Option<&AuditKey>, whose: &str) {
    let Some(key) = key else {
        check.found(format!("{whose} over {} entries cannot be checked: the log has no key", one.size));
        return;
    };
    if let Err(error) = one.must_be_signed_by(key) {
        check.found(format!("{whose} over {} entries is not accepted: {error}", one.size));
    }
}
