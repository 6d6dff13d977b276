//! A separate connection to the database of a test. With it a test acts as another program, holds locks, and reads what was
//! written.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::{Engine, TestDatabase};

/// An open connection.
#[derive(Debug)]
pub(crate) enum Session {
    /// To a SQLite file.
    Sqlite(SqliteConnection),
    /// To a PostgreSQL database.
    Postgres(PgConnection),
}

macro_rules! on_session {
    ($session:expr, $connection:ident => $body:expr) => {
        match $session {
            Session::Sqlite($connection) => $body,
            Session::Postgres($connection) => $body,
        }
    };
}

impl TestDatabase {
    /// Opens a connection.
    pub(crate) async fn session(&self) -> Session {
        match self.engine() {
            Engine::Sqlite => Session::Sqlite(SqliteConnection::connect(self.url()).await.unwrap()),
            Engine::Postgres => Session::Postgres(PgConnection::connect(self.url()).await.unwrap()),
        }
    }

    /// The number that a query returns, run on a new connection.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.session().await.number(sql).await
    }
}

impl Session {
    /// Connects to a SQLite file.
    pub(crate) async fn to_file(file: &std::path::Path) -> Self {
        Self::Sqlite(SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap())
    }

    /// Runs statements.
    pub(crate) async fn execute(&mut self, sql: &str) {
        on_session!(self, connection => { connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap(); });
    }

    /// Begins a transaction that may write. On SQLite no other transaction can write until this one ends.
    pub(crate) async fn begin(&mut self) {
        let begin = if matches!(self, Self::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.execute(begin).await;
    }

    /// The number that a query returns.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        on_session!(self, connection => sqlx::query_scalar(sql).fetch_one(connection).await.unwrap())
    }

    /// The texts that a query of one column returns.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        on_session!(self, connection => sqlx::query_scalar(sql).fetch_all(connection).await.unwrap())
    }

    /// The names of all tables.
    pub(crate) async fn tables(&mut self) -> Vec<String> {
        self.texts(match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
            Self::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            }
        })
        .await
    }

    /// Every row of every table, one per line. Bytes are written in hexadecimal.
    pub(crate) async fn everything(&mut self) -> String {
        let mut all = String::new();
        for table in self.tables().await {
            let rows = match self {
                Self::Sqlite(_) => {
                    let columns = self.texts(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
                    let columns: Vec<String> = columns.iter().map(|name| format!("quote({name})")).collect();
                    format!("SELECT {} FROM {table} ORDER BY 1", columns.join(" || ',' || "))
                }
                Self::Postgres(_) => format!("SELECT t::text FROM {table} t ORDER BY 1"),
            };
            for row in self.texts(&rows).await {
                all.push_str(&table);
                all.push_str(": ");
                all.push_str(&row);
                all.push('\n');
            }
        }
        all
    }
}
