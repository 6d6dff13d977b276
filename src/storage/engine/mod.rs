//! What differs between the two engines that run one set of statements: SQLite and PostgreSQL.

mod backup;
mod macros;
mod migrations;
mod open;
mod postgres;
mod sqlite;

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite, Transaction};

use super::StorageError;

pub(super) use macros::{on_read, on_tx, on_write, row, statements};
pub(super) use sqlite::{DataVersion, ServedFile};

/// Statements of one file, each with its name.
pub(super) type Statements = &'static [(&'static str, &'static str)];

/// A statement that the engines need in different forms.
#[derive(Debug, Clone, Copy)]
pub(super) struct EngineSql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// Texts as one value of a statement, which expands them by the function of its engine (`json_each`,
/// `jsonb_array_elements_text`).
pub(super) fn json_array(texts: &[impl AsRef<str>]) -> String {
    texts.iter().map(AsRef::as_ref).collect::<serde_json::Value>().to_string()
}

/// How long a statement may wait for a connection or for another writer.
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
    /// Begins a writing transaction. On SQLite it takes the write lock at once, since a read that turns into a write
    /// fails as busy whatever the timeout.
    pub(super) async fn begin(&self) -> Result<DbTx, StorageError> {
        Ok(match self {
            Self::Sqlite { write, file, .. } => {
                file.check_in_place()?;
                DbTx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres(pool) => DbTx::Postgres(pool.begin().await?),
        })
    }

    /// Begins a transaction in which all reads see one state of the database.
    pub(super) async fn snapshot(&self) -> Result<DbTx, StorageError> {
        Ok(match self {
            Self::Sqlite { read, .. } => DbTx::Sqlite(read.begin().await?),
            Self::Postgres(pool) => {
                DbTx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// Closes every connection; on SQLite this also copies the write-ahead log into the file.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => sqlite::close(read, write).await,
            Self::Postgres(pool) => pool.close().await,
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
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    pub(super) async fn rollback(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}
