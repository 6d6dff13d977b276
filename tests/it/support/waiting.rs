//! Two transactions at once: proves that one waits for the other, by looking rather than by the clock.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::{Engine, TestDatabase};

/// How long something may take before the test has failed.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// `SQLITE_BUSY`.
const BUSY: &str = "5";

/// Runs `later` until it has to wait for a transaction that is open already, then `first`, which ends that transaction;
/// returns what `later` comes to.
///
/// # Panics
/// When `later` ends without having waited.
pub(crate) async fn outcome_after<T>(
    database: &TestDatabase,
    later: impl Future<Output = T>,
    first: impl Future<Output = ()>,
) -> T {
    let mut later = std::pin::pin!(later);
    tokio::select! {
        biased;
        _ = &mut later => panic!("it should have waited for the other transaction"),
        () = database.someone_waits() => {}
    }
    first.await;
    later.await
}

/// Lets `work` go one step further; whether it has ended with that.
pub(crate) async fn ended<T>(mut work: Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await
}

/// Lets other work go on until something has come about, as `what` says.
///
/// # Panics
/// When it does not.
pub(crate) async fn until(what: &str, has_come_about: impl AsyncFn() -> bool) {
    let waiting = async {
        while !has_come_about().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_MAX, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

impl TestDatabase {
    /// Comes back when work that has begun and wants to write must wait.
    ///
    /// PostgreSQL says so of the connection that waits. SQLite says nothing of those who wait, but has one lock for all
    /// who write: when a transaction of ours is refused that lock, all others wait that want it too.
    ///
    /// # Panics
    /// When that does not come about.
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

    async fn until_a_lock_is_waited_for(&self) {
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let mut session = self.session().await;
        while session.number(waiting).await == 0 {
            tokio::task::yield_now().await;
        }
    }
}
