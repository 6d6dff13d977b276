//! Time limits for PostgreSQL. A server that refuses says so at once, but one that hangs does not answer. So the work of a
//! serving process has limits here; a migration has none. A connection is used again only if it answers ([`answers`]).

use std::io;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};

/// How long a statement may take before it counts as failed, whatever the server does. A little more than
/// `statement_timeout`, so that a server that is only slow says so itself.
const STATEMENT_LIMIT: Duration = Duration::from_secs(32);

/// How long a connection may take to show that it still works.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// The settings of each session: limits for long statements, for waiting for a lock, and for a transaction or connection
/// of a process that no longer answers, because its locks block all others.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '30s';
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = '30s'";

/// The settings of a session that migrates. It has no limits for statements and locks: a migration may rewrite a large
/// table, and it waits while another process migrates.
const MIGRATION: &str = "SET statement_timeout = 0; SET lock_timeout = 0";

/// Runs `work`, and fails with a time-out after [`STATEMENT_LIMIT`].
pub(in crate::storage) async fn within_limit<T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(STATEMENT_LIMIT, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(late()),
    }
}

/// Prepares a session that serves.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await.map(|_| ())
}

/// Prepares a session that migrates.
pub(super) async fn prepare_to_migrate(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(MIGRATION).await.map(|_| ())
}

/// Whether a connection answers in time. One that does not is closed without a message to the server, so that connections
/// to a server that hangs or is gone do not use up the pool.
pub(super) async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(PING_LIMIT, connection.ping()).await {
        Ok(outcome) => outcome.map(|()| true),
        Err(_) => Err(late()),
    }
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
}
