//! Two transactions at once: proves that one waits for the other, by looking rather than by the clock.

use std::pin::Pin;
use std::task::Poll;

use sqlx::{Connection as _, PgConnection};

use super::{Engine, TestDatabase};

/// Runs `later` until it is found to wait for a transaction that is open already, then `first`, which ends that
/// transaction; returns what `later` comes to.
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
        () = someone_waits(database) => {}
    }
    first.await;
    later.await
}

/// Comes back when a connection of this database stands before a lock.
async fn someone_waits(database: &TestDatabase) {
    match database.engine() {
        // The other's first statement asks for the lock of the whole file, so it can only have been sent.
        Engine::Sqlite => tokio::task::yield_now().await,
        Engine::Postgres => {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let mut connection = PgConnection::connect(database.url()).await.unwrap();
            while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut connection).await.unwrap() == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Lets `work` go one step further; whether it has ended with that.
pub(crate) async fn ended<T>(mut work: Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await
}
