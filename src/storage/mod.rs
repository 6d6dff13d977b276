//! The only module with SQL. Other modules use [`Storage`] for reads and upkeep, and [`Tx`] for changes.
//!
//! Most statements serve both engines: `$n` placeholders, instants as Unix seconds from our clock, no booleans, no JSON
//! operators, `CAST` where the type of a parameter would be unknown. A statement that needs a form for each engine is an
//! `EngineSql`. `engine` holds everything else that differs.

mod clients;
mod deliveries;
mod engine;
mod error;
mod ledger;
mod operators;
mod reminders;
mod signing;
mod tenants;
mod tokens;
mod usage;
mod webhooks;

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Notify;

pub use clients::{ClientFilter, ClientOrder, ClientSort, StoredCredentials};
pub use deliveries::{Backlog, DeliveryFilter, Next};
pub use error::StorageError;
pub use ledger::{
    AuditFilter, AuditTree, Change, ChangeWatch, Changes, Numbered, StoredCheckpoint, StoredLeaf, StoredNode,
    StoredReply,
};
pub use signing::SealedRoot;
pub use tokens::{
    Ending, IssueCheck, IssueGuard, ListedTokens, Revoked, StoredStatusList, TokenFilter, TokenState,
};
pub use usage::{CountRow, FirstSeen, NetworkRow, SecretUse, SecretUseRow, SourceRow, UsageRows};
pub use webhooks::{Listener, WebhookKeys};

use crate::model::audit::AuditEvent;
use crate::model::audit_entry::Entry;
use crate::model::clock::Stopwatch;
pub use engine::{Backup, Inspection, SchemaState, Timings, Writes};
use engine::{Db, DbTx, EngineSql, numbers_as_json, within_limit};

/// At most this many rows get their time of last use in one transaction.
const TOUCHED_AT_ONCE: usize = 4_000;

/// The database, opened and migrated. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    db: Db,
    writes: Arc<Writes>,
    timings: Arc<Timings>,
    queued: Arc<Notify>,
}

impl Storage {
    /// Opens the database at `url` (`sqlite://path` or `postgres://…`), creating a SQLite file where there is none,
    /// and brings its schema up to date.
    ///
    /// # Errors
    /// [`StorageError::Open`], [`StorageError::Migrate`] or [`StorageError::Damaged`]; other variants if a query fails.
    pub async fn open(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        Ok(Self {
            db: Db::open(url, max_connections).await?,
            writes: Arc::default(),
            timings: Arc::default(),
            queued: Arc::default(),
        })
    }

    /// Begins a transaction for a change.
    pub async fn begin(&self) -> Result<Tx, StorageError> {
        let watch = Stopwatch::start();
        let transaction = self.db.begin().await;
        self.timings.begin.observe(watch.elapsed());
        match transaction {
            Ok(db) => Ok(self.tx(db)),
            // Counts as a failed commit: the file to commit to is gone.
            Err(error) if error.is_file_gone() => self.writes.note(Err(error), true),
            Err(error) => Err(error),
        }
    }

    /// Begins a transaction in which all reads see one state of the database.
    async fn snapshot(&self) -> Result<Tx, StorageError> {
        Ok(self.tx(self.db.snapshot().await?))
    }

    fn tx(&self, db: DbTx) -> Tx {
        let (changes, events, entries) = (Vec::new(), Vec::new(), Vec::new());
        Tx { db, changes, events, entries, has_written: false, has_queued: false, storage: self.clone() }
    }

    /// How long the operations of the database took.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// The results of the commits of this process.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Whether the database answers and has the schema this program was built with.
    pub async fn schema_is_current(&self) -> Result<bool, StorageError> {
        self.db.schema_is_current().await
    }

    /// Gives a bounded part of the space of deleted rows back to the file system. Returns whether there is more.
    pub async fn give_back_space(&self) -> Result<bool, StorageError> {
        self.db.give_back_space().await
    }

    /// Waits until this process has committed something to be delivered.
    pub async fn delivery_queued(&self) {
        self.queued.notified().await;
    }

    /// How many connections are in use, and how many are idle.
    pub fn connections(&self) -> (i64, i64) {
        self.db.connections()
    }

    /// When this SQLite database was last backed up by [`Storage::back_up`], in Unix seconds; `None` if that is not known.
    pub fn last_backup(&self) -> Option<i64> {
        self.db.last_backup()
    }

    /// Closes all connections; on SQLite except that of a [`ChangeWatch`], which closes when the watch is dropped.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Writes times of last use, which may be lost. On SQLite each of `statements` takes an object of times by id, as JSON.
    /// One transaction writes at most [`TOUCHED_AT_ONCE`] of them, so that other writers hardly wait. On PostgreSQL each
    /// statement takes an id and a time, and each row is a transaction of its own, because a transaction that locks many
    /// rows can deadlock with one that locks them in another order.
    async fn touch(
        &self,
        statements: &[EngineSql],
        uses: &[(impl Deref<Target = str>, i64)],
    ) -> Result<(), StorageError> {
        match &self.db {
            Db::Sqlite { write, .. } => {
                for uses in uses.chunks(TOUCHED_AT_ONCE) {
                    let rows = numbers_as_json(uses.iter().map(|(id, at)| (&**id, *at)))?;
                    let mut tx = write.begin_with("BEGIN IMMEDIATE").await?;
                    for sql in statements {
                        sqlx::query(sql.sqlite).bind(&rows).execute(&mut *tx).await?;
                    }
                    self.writes.note_failure(tx.commit().await)?;
                }
            }
            Db::Postgres(pool) => {
                for (id, at) in uses {
                    for sql in statements {
                        within_limit(sqlx::query(sql.postgres).bind(&**id).bind(at).execute(pool)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Prepares every statement that both engines run as it is, for the test that both accept it. Returns the statements that
    /// this engine refuses, each with the error.
    pub async fn refused_statements(&self) -> Result<Vec<String>, StorageError> {
        use sqlx::Executor as _;
        let mut refused = Vec::new();
        for (name, sql) in all_statements() {
            let sql = sqlx::SqlStr::from_static(sql);
            let outcome = match &self.db {
                Db::Sqlite { write, .. } => write.acquire().await?.prepare(sql).await.map(|_| ()),
                Db::Postgres(pool) => {
                    within_limit(async { pool.acquire().await?.prepare(sql).await.map(|_| ()) }).await
                }
            };
            if let Err(error) = outcome {
                refused.push(format!("{name}: {error}"));
            }
        }
        Ok(refused)
    }
}

/// Every statement that both engines run as it is, with its name.
fn all_statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        clients::STATEMENTS,
        deliveries::STATEMENTS,
        ledger::STATEMENTS,
        operators::STATEMENTS,
        reminders::STATEMENTS,
        signing::STATEMENTS,
        tenants::STATEMENTS,
        tokens::STATEMENTS,
        usage::STATEMENTS,
        webhooks::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .flatten()
    .copied()
}

/// A transaction. What it changes (rows, audit events, deliveries and the change counter) commits together or not at all;
/// dropping the transaction rolls back.
#[derive(Debug)]
pub struct Tx {
    db: DbTx,
    changes: Vec<Change>,
    /// The audit events of the change. [`Tx::commit`] writes them last.
    events: Vec<AuditEvent>,
    /// The entry of each of `events`, in the same order.
    entries: Vec<Entry>,
    /// Whether a statement has certainly written something, even if no change was noted for the counter.
    has_written: bool,
    /// Whether a delivery was queued.
    has_queued: bool,
    storage: Storage,
}

impl Tx {
    /// Notes a change. When this transaction commits, every process invalidates what it has cached of `change`.
    pub fn changed(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// The status lists noted as changed.
    pub fn changed_status_lists(&self) -> Vec<i64> {
        let list = |change: &Change| match change {
            Change::StatusList(list) => Some(*list),
            _ => None,
        };
        self.changes.iter().filter_map(list).collect()
    }

    /// Makes the change durable. Returns what it invalidates, with the values of the counter, for the caches of this
    /// process.
    ///
    /// # Errors
    /// [`StorageError`]. With [`StorageError::Moved`] and [`StorageError::LogGone`] the change may have been committed to a
    /// file that nobody else can open, so it must not be acknowledged.
    pub async fn commit(mut self) -> Result<Changes, StorageError> {
        let has_written = self.has_written || !self.changes.is_empty() || !self.events.is_empty();
        let has_queued = self.has_queued;
        let storage = self.storage.clone();
        let began = Stopwatch::start();
        let commit = async {
            let changes = self.record_changes().await?;
            self.write_events().await?;
            self.db.commit().await?;
            storage.db.check_in_place()?;
            Ok(changes)
        };
        let committed = commit.await;
        storage.timings.commit.observe(began.elapsed());
        if has_queued && committed.is_ok() {
            storage.queued.notify_one();
        }
        storage.writes.note(committed, has_written)
    }

    /// Rolls back.
    pub async fn rollback(self) -> Result<(), StorageError> {
        self.db.rollback().await
    }
}

/// Whether a statement changed a row.
fn touched(rows: u64) -> bool {
    rows > 0
}
