//! What differs between the two engines, SQLite and PostgreSQL, which run mostly the same statements.

mod backup;
mod inspect;
mod limits;
mod macros;
mod migrations;
mod open;
mod postgres;
mod sqlite;
mod timings;
mod writes;

use std::time::Duration;

use serde::Serializer as _;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite, Transaction};

use super::StorageError;

pub use backup::Backup;
pub use inspect::Inspection;
pub(super) use limits::within_limit;
pub(super) use macros::{on_read, on_tx, on_write, over_rows, row, statements};
pub use migrations::SchemaState;
pub(super) use sqlite::{DataVersion, ServedFile};
pub use timings::Timings;
pub use writes::Writes;

/// Statements of one file, each with its name.
pub(super) type Statements = &'static [(&'static str, &'static str)];

/// A statement that the engines need in different forms.
#[derive(Debug, Clone, Copy)]
pub(super) struct EngineSql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// Texts as one value of a statement, which expands them with a function of the engine (`json_each`,
/// `jsonb_array_elements_text`).
pub(super) fn json_array(texts: &[impl AsRef<str>]) -> String {
    texts.iter().map(AsRef::as_ref).collect::<serde_json::Value>().to_string()
}

/// Rows as one value of a statement: an array of arrays.
pub(super) fn rows_as_json(
    rows: impl Iterator<Item = impl serde::Serialize>,
) -> Result<String, StorageError> {
    let rows: Vec<_> = rows.collect();
    serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// Numbers by id as a JSON object, for a statement that takes it as `$1`. The caller gives each id once.
pub(super) fn numbers_as_json(
    numbers: impl IntoIterator<Item = (impl serde::Serialize, i64)>,
) -> Result<String, StorageError> {
    let mut json = Vec::new();
    let written = serde_json::Serializer::new(&mut json).collect_map(numbers);
    written.map_err(|error| sqlx::Error::Encode(error.into()))?;
    String::from_utf8(json).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// How long a statement may wait for a connection or, on SQLite, for another writer.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The open database.
#[derive(Debug, Clone)]
pub(super) enum Db {
    /// SQLite: writes go through one connection, reads through a pool that cannot write.
    Sqlite {
        /// Read-only connections.
        read: SqlitePool,
        /// The one writer.
        write: SqlitePool,
        /// The file that both have open.
        file: ServedFile,
    },
    /// PostgreSQL.
    Postgres(PgPool),
}

/// An open transaction on either engine.
#[derive(Debug)]
pub(super) enum DbTx {
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    /// The form of a statement that this engine needs.
    pub(super) fn choose(&self, sql: EngineSql) -> &'static str {
        match self {
            Self::Sqlite { .. } => sql.sqlite,
            Self::Postgres(_) => sql.postgres,
        }
    }

    /// Begins a writing transaction. On SQLite it takes the write lock at once, since a read that turns into a write
    /// fails as busy whatever the timeout.
    pub(super) async fn begin(&self) -> Result<DbTx, StorageError> {
        Ok(match self {
            Self::Sqlite { write, file, .. } => {
                let tx = write.begin_with("BEGIN IMMEDIATE").await?;
                file.check_in_place()?;
                DbTx::Sqlite(tx)
            }
            Self::Postgres(pool) => DbTx::Postgres(within_limit(pool.begin()).await?),
        })
    }

    /// Fails if a file of a SQLite database is no longer where it was opened.
    pub(super) fn check_in_place(&self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite { file, .. } => file.check_in_place(),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Begins a transaction in which all reads see one state of the database.
    pub(super) async fn snapshot(&self) -> Result<DbTx, StorageError> {
        Ok(match self {
            Self::Sqlite { read, .. } => DbTx::Sqlite(read.begin().await?),
            Self::Postgres(pool) => {
                const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                DbTx::Postgres(within_limit(pool.begin_with(SNAPSHOT)).await?)
            }
        })
    }

    /// Gives a bounded part of the space of deleted rows back to the file system; on PostgreSQL this is left to autovacuum.
    /// Returns whether there is more.
    pub(super) async fn give_back_space(&self) -> Result<bool, StorageError> {
        match self {
            Self::Sqlite { write, .. } => Ok(sqlite::give_back_space(write).await?),
            Self::Postgres(_) => Ok(false),
        }
    }

    pub(super) fn connections(&self) -> (i64, i64) {
        fn of<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> (i64, i64) {
            let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
            ((i64::from(pool.size()) - idle).max(0), idle)
        }
        match self {
            Self::Sqlite { read, write, .. } => {
                let (read, write) = (of(read), of(write));
                (read.0 + write.0, read.1 + write.1)
            }
            Self::Postgres(pool) => of(pool),
        }
    }

    pub(super) fn last_backup(&self) -> Option<i64> {
        match self {
            Self::Sqlite { file, .. } => backup::last_backup(file.path()),
            Self::Postgres(_) => None,
        }
    }

    /// Closes every connection except that of a [`DataVersion`]; on SQLite this also copies the write-ahead log into the file.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => sqlite::close(read, write).await,
            Self::Postgres(pool) => {
                // The connections are gone with the process, also those that are not closed in time.
                let _ = within_limit(async {
                    pool.close().await;
                    Ok(())
                })
                .await;
            }
        }
    }
}

impl DbTx {
    /// The form of a statement that this engine needs.
    pub(super) fn choose(&self, sql: EngineSql) -> &'static str {
        match self {
            Self::Sqlite(_) => sql.sqlite,
            Self::Postgres(_) => sql.postgres,
        }
    }

    pub(super) async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => within_limit(tx.commit()).await?,
        }
        Ok(())
    }

    pub(super) async fn rollback(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres(tx) => within_limit(tx.rollback()).await?,
        }
        Ok(())
    }
}
