//! How the connections of a worker learn that it stops.

use std::cell::Cell;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// Whether a worker is stopping, and until when new connections may then send a request. Each worker has its own `Stop`.
#[derive(Debug, Default)]
pub(super) struct Stop {
    new_ones_until: Cell<Option<Instant>>,
    signal: Notify,
}

impl Stop {
    /// Idle connections end now. New connections may send their first request until `new_ones_until`.
    pub(super) fn tell(&self, new_ones_until: Instant) {
        self.new_ones_until.set(Some(new_ones_until));
        self.signal.notify_waiters();
    }

    /// Until when a new connection may send its request; `None` if the worker is not stopping.
    pub(super) fn new_ones_until(&self) -> Option<Instant> {
        self.new_ones_until.get()
    }

    /// Completes when a stop is requested.
    pub(super) fn requested(&self) -> Notified<'_> {
        self.signal.notified()
    }
}
