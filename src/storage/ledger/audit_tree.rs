//! The trees of the audit trail (`audit_trees`), the leaves of the events, the hashes of full subtrees (`audit_nodes`), and
//! the signed checkpoints (`audit_checkpoints`). [`crate::ledger`] computes the hashes.

use super::audit::{EventRow, turn};
use crate::model::audit::Recorded;
use crate::model::reach::Reach;
use crate::storage::engine::{EngineSql, on_read, on_tx, on_write, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! tree_columns {
    () => {
        "log, origin, public_key, sealed_key, size, opened_at, ended_at"
    };
}

statements! {
    TREES = concat!("SELECT ", tree_columns!(), " FROM audit_trees ORDER BY log");
    NAME = "UPDATE audit_trees SET origin = $2, public_key = $3, sealed_key = $4 WHERE log = $1 AND origin IS NULL";
    OPEN = "UPDATE audit_trees SET opened_at = $2 WHERE log = $1 AND opened_at IS NULL";
    // Without its key, nobody can sign for the tree again.
    END = "UPDATE audit_trees SET ended_at = $2, sealed_key = NULL WHERE log = $1";
    BEGIN = "INSERT INTO audit_trees (log, origin, public_key, sealed_key, size, started_at, opened_at)
        VALUES ($1, $2, $3, $4, 0, $5, $5)";
    LEAVES = "SELECT seq, leaf FROM audit_events WHERE log = $1 AND seq >= $2 AND seq < $3 ORDER BY seq";
    EVENTS = "SELECT event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail, log, seq,
            entry, leaf
        FROM audit_events WHERE log = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
    KNOWS = "SELECT COUNT(*) FROM audit_events
        WHERE log = $1 AND seq = $2 AND (CAST($3 AS TEXT) IS NULL OR workspace_id = $3)";
    NODES = "SELECT position, hash FROM audit_nodes
        WHERE log = $1 AND level = $2 AND position >= $3 AND position < $4 ORDER BY position";
    INSERT_NODE = "INSERT INTO audit_nodes (log, level, position, hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    LAST_CHECKPOINT = "SELECT log, size, at, edge, note FROM audit_checkpoints WHERE log = $1 ORDER BY size DESC LIMIT 1";
    CHECKPOINTS = "SELECT log, size, at, edge, note FROM audit_checkpoints WHERE log = $1 AND size > $2
        ORDER BY size LIMIT $3";
    INSERT_CHECKPOINT = "INSERT INTO audit_checkpoints (log, size, at, edge, note) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING";
    // For each tree, the last one of each earlier day stays.
    THIN_CHECKPOINTS = "DELETE FROM audit_checkpoints WHERE at < $1 AND EXISTS
        (SELECT 1 FROM audit_checkpoints later WHERE later.at > audit_checkpoints.at
            AND later.at < (audit_checkpoints.at / 86400 + 1) * 86400 AND later.log = audit_checkpoints.log)";
}

const LOCK: EngineSql = EngineSql {
    sqlite: concat!("UPDATE audit_trees SET size = size WHERE ended_at IS NULL RETURNING ", tree_columns!()),
    postgres: concat!(
        turn!(),
        " UPDATE audit_trees SET size = size FROM turn WHERE ended_at IS NULL RETURNING ",
        tree_columns!()
    ),
};

row! {
    /// A tree.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AuditTree {
        /// Its number, from 1.
        pub log: i64,
        /// Its name in checkpoints; `None` until the first start has given it one.
        pub origin: Option<String>,
        /// The public Ed25519 key of its checkpoints; `None` as long as it has no name.
        pub public_key: Option<Vec<u8>>,
        /// The private key, sealed; `None` as long as the tree has no name, and after it has ended.
        pub sealed_key: Option<Vec<u8>>,
        /// How many leaves it has.
        pub size: i64,
        /// Since when new events are numbered; `None` while earlier events still wait for their numbers.
        pub opened_at: Option<i64>,
        /// When another tree took its place.
        pub ended_at: Option<i64>,
    }
}

row! {
    /// The hash of a leaf.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct StoredLeaf {
        /// Its number.
        pub seq: i64,
        /// The hash.
        pub leaf: Vec<u8>,
    }
}

row! {
    /// The hash of a full subtree.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct StoredNode {
        /// Its number on its level.
        pub position: i64,
        /// The hash.
        pub hash: Vec<u8>,
    }
}

row! {
    /// A signed checkpoint.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct StoredCheckpoint {
        /// Its tree.
        pub log: i64,
        /// How many leaves it covers.
        pub size: i64,
        /// When it was signed.
        pub at: i64,
        /// The hashes of the full subtrees that these leaves consist of, from the left.
        pub edge: Vec<u8>,
        /// The signed note.
        pub note: String,
    }
}

row! {
    struct LeafOfRow {
        leaf: Vec<u8>,
    }
}

/// An event of a tree as it is stored: its columns, its entry and its hash.
struct EventWithLeaf(EventRow, LeafOfRow);

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for EventWithLeaf
where
    EventRow: sqlx::FromRow<'r, R>,
    LeafOfRow: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self(EventRow::from_row(row)?, LeafOfRow::from_row(row)?))
    }
}

/// The error of a database in which all trees have ended, so that no event can be added.
pub(super) fn none_is_current() -> StorageError {
    StorageError::Damaged("all trees in audit_trees have ended".to_owned())
}

impl Storage {
    /// All trees, the oldest first. The last one has not ended.
    pub async fn audit_trees(&self) -> Result<Vec<AuditTree>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(TREES).fetch_all(pool).await)?)
    }

    /// The leaves of a tree from number `from` to before `to`.
    pub async fn audit_leaves(&self, log: i64, from: i64, to: i64) -> Result<Vec<StoredLeaf>, StorageError> {
        Ok(
            on_read!(self, pool => sqlx::query_as(LEAVES).bind(log).bind(from).bind(to).fetch_all(pool).await)?,
        )
    }

    /// Up to `limit` events of a tree from number `from`, as their columns describe them, each with its leaf.
    pub async fn events_of_tree(
        &self,
        log: i64,
        from: i64,
        limit: u32,
    ) -> Result<Vec<(Recorded, Vec<u8>)>, StorageError> {
        let rows: Vec<EventWithLeaf> = on_read!(self, pool => sqlx::query_as(EVENTS)
            .bind(log).bind(from).bind(i64::from(limit)).fetch_all(pool).await)?;
        rows.into_iter().map(|row| Ok((row.0.by_columns()?, row.1.leaf))).collect()
    }

    /// Whether a tree has an event of this number within reach.
    pub async fn knows_leaf(&self, reach: &Reach, log: i64, seq: i64) -> Result<bool, StorageError> {
        let found: i64 = on_read!(self, pool => sqlx::query_scalar(KNOWS)
            .bind(log).bind(seq).bind(reach.limit()).fetch_one(pool).await)?;
        Ok(found > 0)
    }

    /// The hashes of full subtrees of a level, from position `from` to before `to`.
    pub async fn audit_nodes(
        &self,
        log: i64,
        level: i64,
        from: i64,
        to: i64,
    ) -> Result<Vec<StoredNode>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(NODES)
            .bind(log).bind(level).bind(from).bind(to).fetch_all(pool).await)?)
    }

    /// The newest checkpoint of a tree.
    pub async fn last_checkpoint(&self, log: i64) -> Result<Option<StoredCheckpoint>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(LAST_CHECKPOINT).bind(log).fetch_optional(pool).await)?)
    }

    /// Up to `limit` checkpoints of a tree that cover more than `above` leaves, the smallest first.
    pub async fn checkpoints(
        &self,
        log: i64,
        above: i64,
        limit: u32,
    ) -> Result<Vec<StoredCheckpoint>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(CHECKPOINTS)
            .bind(log).bind(above).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// Deletes the checkpoints signed before `before`, except the last one of each day for each tree. Returns how many.
    pub async fn thin_checkpoints(&self, before: i64) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(THIN_CHECKPOINTS)
            .bind(before).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// The tree to which events are added, locked until the end of the transaction: nothing is added meanwhile.
    pub async fn lock_audit_tree(&mut self) -> Result<AuditTree, StorageError> {
        let lock = self.db.choose(LOCK);
        for _ in 0..2 {
            let tree: Option<AuditTree> =
                on_tx!(self.db, conn => sqlx::query_as(lock).fetch_optional(&mut *conn).await)?;
            // The first time may wait for a tree that is being replaced. The second time sees the tree that was begun
            // meanwhile.
            if let Some(tree) = tree {
                return Ok(tree);
            }
        }
        Err(none_is_current())
    }

    /// Gives a tree its name and its key, unless it has them.
    pub async fn name_audit_tree(
        &mut self,
        log: i64,
        origin: &str,
        public_key: &[u8],
        sealed_key: &[u8],
    ) -> Result<(), StorageError> {
        self.has_written = true;
        Ok(on_tx!(self.db, conn => sqlx::query(NAME)
            .bind(log).bind(origin).bind(public_key).bind(sealed_key).execute(&mut *conn).await.map(|_| ()))?)
    }

    /// From now on new events get numbers in this tree.
    pub async fn open_audit_tree(&mut self, log: i64, now: i64) -> Result<(), StorageError> {
        self.has_written = true;
        Ok(
            on_tx!(self.db, conn => sqlx::query(OPEN).bind(log).bind(now).execute(&mut *conn).await.map(|_| ()))?,
        )
    }

    /// Ends the tree `log` and begins the next one, which is open.
    pub async fn replace_audit_tree(
        &mut self,
        log: i64,
        origin: &str,
        public_key: &[u8],
        sealed_key: &[u8],
        now: i64,
    ) -> Result<(), StorageError> {
        self.has_written = true;
        on_tx!(self.db, conn => sqlx::query(END).bind(log).bind(now).execute(&mut *conn).await.map(|_| ()))?;
        Ok(on_tx!(self.db, conn => sqlx::query(BEGIN)
            .bind(log + 1).bind(origin).bind(public_key).bind(sealed_key).bind(now)
            .execute(&mut *conn).await.map(|_| ()))?)
    }

    /// Stores the hash of a full subtree.
    pub async fn insert_audit_node(
        &mut self,
        log: i64,
        level: i64,
        position: i64,
        hash: &[u8],
    ) -> Result<(), StorageError> {
        self.has_written = true;
        Ok(on_tx!(self.db, conn => sqlx::query(INSERT_NODE)
            .bind(log).bind(level).bind(position).bind(hash).execute(&mut *conn).await.map(|_| ()))?)
    }

    /// Stores a checkpoint. `false` if the tree has one of this size already.
    pub async fn insert_checkpoint(&mut self, checkpoint: &StoredCheckpoint) -> Result<bool, StorageError> {
        self.has_written = true;
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT_CHECKPOINT)
            .bind(checkpoint.log).bind(checkpoint.size).bind(checkpoint.at).bind(&checkpoint.edge).bind(&checkpoint.note)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}
