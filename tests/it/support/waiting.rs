//! Lets one of two concurrent transactions wait for the other, by asking the database instead of sleeping.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::{Engine, TestDatabase};

/// How long a test waits before it fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// `SQLITE_BUSY`.
const BUSY: &str = "5";

/// Counts the connections to this database that wait for another transaction.
const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Runs `later` while a transaction is open that it has to wait for, until [`TestDatabase::someone_waits`] returns. Then runs
/// `first`, which ends that transaction. Returns the result of `later`.
///
/// # Panics
/// If `later` ends while the transaction is open.
pub(crate) async fn outcome_after<T>(
    database: &TestDatabase,
    later: impl Future<Output = T>,
    first: impl Future<Output = ()>,
) -> T {
    let mut later = std::pin::pin!(later);
    tokio::select! {
        biased;
        _ = &mut later => panic!("`later` should have waited for the open transaction"),
        () = database.someone_waits() => {}
    }
    first.await;
    later.await
}

/// Polls `work` once; returns whether it has ended.
pub(crate) async fn ended<T>(mut work: Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await
}

/// Lets other tasks run until `holds` returns `true`. `what` names the condition, for the error.
///
/// # Panics
/// If the condition is not true within [`WAIT_MAX`].
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_MAX, waiting).await.unwrap_or_else(|_| panic!("waited too long until {what}"));
}

impl TestDatabase {
    /// On PostgreSQL, returns when a connection waits for an open transaction. SQLite does not show who waits, but has one lock
    /// for all writers: there this returns when a transaction holds that lock, so that no other can write before it ends.
    ///
    /// # Panics
    /// If that is not so within [`WAIT_MAX`].
    pub(crate) async fn someone_waits(&self) {
        let waiting = async {
            match self.engine() {
                Engine::Sqlite => self.until_locked().await,
                Engine::Postgres => self.until_a_lock_is_waited_for().await,
            }
        };
        tokio::time::timeout(WAIT_MAX, waiting).await.expect("nobody waits for another transaction");
    }

    async fn until_locked(&self) {
        let options = SqliteConnectOptions::new().filename(self.file()).busy_timeout(Duration::ZERO);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        loop {
            match connection.execute("BEGIN IMMEDIATE").await {
                Ok(_) => drop(connection.execute("ROLLBACK").await.unwrap()),
                Err(error) => {
                    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
                    assert_eq!(code.as_deref(), Some(BUSY), "{error}");
                    return;
                }
            }
        }
    }

    /// How many connections wait for another transaction. PostgreSQL only.
    pub(crate) async fn waiting(&self) -> i64 {
        self.number(WAITING).await
    }

    async fn until_a_lock_is_waited_for(&self) {
        let mut session = self.session().await;
        while session.number(WAITING).await == 0 {
            tokio::task::yield_now().await;
        }
    }
}
