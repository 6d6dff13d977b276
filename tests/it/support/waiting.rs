//! Two transactions at once: proves that one waits for the other, by looking rather than by the clock.

use std::pin::Pin;
use std::task::Poll;

use super::TestDatabase;

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
        () = database.someone_waits() => {}
    }
    first.await;
    later.await
}

/// Lets `work` go one step further; whether it has ended with that.
pub(crate) async fn ended<T>(mut work: Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await
}
