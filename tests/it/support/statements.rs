//! Records the statements that sqlx runs on PostgreSQL while a future is awaited.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Collects the statements that sqlx reports to the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// The result of a future, and the statements that it ran on PostgreSQL, in order. Statements of tasks that the future
    /// spawns are not recorded.
    pub(crate) async fn during<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
        // Never dropped. Otherwise, when another test drops its subscriber while this one is recording, `tracing` could decide
        // that no subscriber wants these events.
        static INTERESTED: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Statements::default()));
        LazyLock::force(&INTERESTED);
        let seen = Self::default();
        let outcome = work.with_subscriber(seen.clone()).await;
        let statements = seen.0.lock().unwrap().clone();
        (outcome, statements)
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query" && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut sql = Sql::default();
        event.record(&mut sql);
        let text = if sql.whole.is_empty() { sql.summary } else { sql.whole };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // `SET` statements come from a connection that was opened meanwhile.
        if !text.starts_with("SET ") {
            self.0.lock().unwrap().push(text);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The statement of an event. sqlx leaves `whole` empty when `summary` is the whole statement.
#[derive(Default)]
struct Sql {
    summary: String,
    whole: String,
}

impl Visit for Sql {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
