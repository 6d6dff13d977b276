//! The only part with SQL. Outside, callers see [`Storage`] (reads) and [`Tx`] (changes) in domain words.
//!
//! One set of statements serves both engines: `$n` placeholders, instants as Unix seconds from our clock, no booleans,
//! no JSON operators, `CAST` where the type of a parameter would be unknown. `engine` holds what differs.

mod clients;
mod engine;
mod error;
mod ledger;
mod signing;
mod tenants;
mod tokens;

pub use clients::{ClientFilter, ClientOrder, ClientSort, StoredCredentials};
pub use error::StorageError;
pub use ledger::{AuditFilter, Change, ChangeWatch, Changes, StoredReply};
pub use signing::SealedRoot;
pub use tokens::{
    Ending, IssueCheck, IssueGuard, ListedTokens, Revoked, StoredStatusList, TokenFilter, TokenState,
};

use engine::{Db, DbTx};

/// The database, opened and migrated. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    db: Db,
}

impl Storage {
    /// Opens the database at `url` (`sqlite://path` or `postgres://…`), creating a SQLite file where there is none,
    /// and brings its schema up to date.
    ///
    /// # Errors
    /// [`StorageError::Open`], [`StorageError::Migrate`] or [`StorageError::Damaged`], each saying what to do.
    pub async fn open(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        Ok(Self { db: Db::open(url, max_connections).await? })
    }

    /// Begins a transaction for a change.
    pub async fn begin(&self) -> Result<Tx, StorageError> {
        Ok(Tx { db: self.db.begin().await?, changes: Vec::new() })
    }

    /// Whether the database answers and has the schema this program was built with.
    pub async fn schema_is_current(&self) -> Result<bool, StorageError> {
        self.db.schema_is_current().await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Writes times of last use, which may be lost: each of `statements` takes an id and when it was used. On PostgreSQL each is a
    /// statement of its own, since a transaction that locks many rows can deadlock with one that locks them in another
    /// order.
    async fn touch(&self, statements: &[&'static str], uses: &[(String, i64)]) -> Result<(), StorageError> {
        match &self.db {
            Db::Sqlite { write, .. } => {
                let mut tx = write.begin_with("BEGIN IMMEDIATE").await?;
                for (id, at) in uses {
                    for sql in statements {
                        sqlx::query(*sql).bind(id).bind(at).execute(&mut *tx).await?;
                    }
                }
                tx.commit().await?;
            }
            Db::Postgres(pool) => {
                for (id, at) in uses {
                    for sql in statements {
                        sqlx::query(*sql).bind(id).bind(at).execute(pool).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Prepares every shared statement, for the test that both engines accept them. Returns the refused ones.
    pub async fn refused_statements(&self) -> Result<Vec<String>, StorageError> {
        use sqlx::Executor as _;
        let mut refused = Vec::new();
        for (name, sql) in all_statements() {
            let sql = sqlx::SqlStr::from_static(sql);
            let outcome = match &self.db {
                Db::Sqlite { write, .. } => write.acquire().await?.prepare(sql).await.map(|_| ()),
                Db::Postgres(pool) => pool.acquire().await?.prepare(sql).await.map(|_| ()),
            };
            if let Err(error) = outcome {
                refused.push(format!("{name}: {error}"));
            }
        }
        Ok(refused)
    }
}

/// Every shared statement, with its name.
fn all_statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [clients::STATEMENTS, ledger::STATEMENTS, signing::STATEMENTS, tenants::STATEMENTS, tokens::STATEMENTS]
        .into_iter()
        .flatten()
        .copied()
        .flatten()
        .copied()
}

/// A transaction that changes something. Rows, audit event, mail and the change counter commit together or not at all;
/// dropping it rolls back.
#[derive(Debug)]
pub struct Tx {
    db: DbTx,
    changes: Vec<Change>,
}

impl Tx {
    /// Invalidates the caches of `change` when this commits.
    pub fn changed(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Makes the change durable. Returns what it invalidates, with the values of the counter, for the caches of this
    /// process.
    pub async fn commit(mut self) -> Result<Changes, StorageError> {
        let changes = self.record_changes().await?;
        self.db.commit().await?;
        Ok(changes)
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
