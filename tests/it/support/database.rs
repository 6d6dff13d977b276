//! A database for one test, on the engine that the test names, and the macro that runs a test on both.

use std::path::PathBuf;

use mintmark::storage::Storage;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::postgres::PostgresDatabase;

/// The database engines that Mintmark supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// An empty database that no other test sees. It is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    url: String,
    engine: Engine,
    pub(super) kept: Kept,
}

#[derive(Debug)]
pub(super) enum Kept {
    #[expect(dead_code, reason = "held only to be dropped")]
    Folder(TempDir),
    Database(PostgresDatabase),
}

impl TestDatabase {
    /// A migrated database on PostgreSQL; on SQLite, a path where there is no file yet.
    pub(crate) fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::blank(engine),
            Engine::Postgres => Self::on_postgres(PostgresDatabase::migrated()),
        }
    }

    /// A database that Mintmark has never opened.
    pub(crate) fn blank(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::Builder::new().prefix("mintmark-it-").tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("mintmark.db").display());
                Self { url, engine, kept: Kept::Folder(folder) }
            }
            Engine::Postgres => Self::on_postgres(PostgresDatabase::blank()),
        }
    }

    /// A database without tables on its own PostgreSQL server.
    pub(crate) fn alone() -> Self {
        Self::on_postgres(PostgresDatabase::alone())
    }

    fn on_postgres(database: PostgresDatabase) -> Self {
        Self { url: database.url(), engine: Engine::Postgres, kept: Kept::Database(database) }
    }

    /// The value for `database.url`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The engine of the database.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("sqlite://").unwrap())
    }

    /// Runs SQL on its own connection, in one transaction: a change that another program, or another version of Mintmark, could
    /// have made.
    pub(crate) async fn execute(&self, sql: &'static str) {
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                // Otherwise each statement would be a transaction, and a poll of an app could fall between two of them.
                for sql in ["BEGIN IMMEDIATE", sql, "COMMIT"] {
                    connection.execute(sql).await.unwrap();
                }
                connection.close().await.unwrap();
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                connection.execute(sql).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Opens the database. Each call acts like another process: it shares nothing in memory with the others.
    pub(crate) async fn open(&self) -> Storage {
        Storage::open(&self.url, 8).await.unwrap()
    }
}

/// Makes two tests of each `async fn name(engine: Engine)` that is listed: `name::sqlite` and `name::postgres`.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name($crate::support::Engine::Postgres).await;
            }
        }
    )*};
}

pub(crate) use on_both_engines;
