//! The change counter (`change_seq`): incremented by every change that invalidates a cache, in the same transaction.
//!
//! The counter's row is locked from the increment to the commit, so numbers become visible in order and without gaps.

use std::borrow::Cow;

use crate::model::clock::Stopwatch;
use crate::storage::engine::{
    DataVersion, Db, EngineSql, on_read, on_tx, on_write, statements, within_limit,
};
use crate::storage::{Storage, StorageError, Tx};

/// One statement, so that counter and log are read in one state: otherwise a commit in between would look like a gap.
/// PostgreSQL, which may be on another machine, also returns the time of its clock, in Unix milliseconds.
const SINCE: EngineSql = EngineSql {
    sqlite: "SELECT s.change_seq, l.seq, l.kind, l.id, NULL FROM service_state s LEFT JOIN change_log l ON l.seq > $1
        WHERE s.id = 1 ORDER BY l.seq LIMIT $2",
    postgres: "SELECT s.change_seq, l.seq, l.kind, l.id, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)
        FROM service_state s LEFT JOIN change_log l ON l.seq > $1 WHERE s.id = 1 ORDER BY l.seq LIMIT $2",
};

statements! {
    RAISE = "UPDATE service_state SET change_seq = change_seq + $1 WHERE id = 1 RETURNING change_seq";
    LOG = "INSERT INTO change_log (seq, kind, id) VALUES ($1, $2, $3)";
    CURRENT = "SELECT change_seq FROM service_state WHERE id = 1";
    PURGE = "DELETE FROM change_log WHERE seq <= (SELECT change_seq FROM service_state WHERE id = 1) - $1";
}

/// How many changes are read at once; a reader that is further behind invalidates everything instead.
const CATCH_UP_LIMIT: i64 = 1000;

/// What a change touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// One API client, its secrets or its grants.
    Client(String),
    /// A workspace, and so every client in it.
    Workspace(String),
    /// A product, and so every client that is granted it.
    Product(String),
    /// The signing keys.
    SigningKeys,
    /// The statuses of one status list.
    StatusList(i64),
}

impl Change {
    fn parts(&self) -> (&'static str, Cow<'_, str>) {
        match self {
            Self::Client(id) => ("client", id.into()),
            Self::Workspace(id) => ("workspace", id.into()),
            Self::Product(id) => ("product", id.into()),
            Self::SigningKeys => ("signing_keys", "".into()),
            Self::StatusList(list) => ("status_list", list.to_string().into()),
        }
    }

    fn from_parts(kind: &str, id: String) -> Option<Self> {
        Some(match kind {
            "client" => Self::Client(id),
            "workspace" => Self::Workspace(id),
            "product" => Self::Product(id),
            "signing_keys" => Self::SigningKeys,
            "status_list" => Self::StatusList(id.parse().ok()?),
            _ => return None,
        })
    }
}

/// What changed up to a value of the counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Exactly these, oldest first, up to `seq`.
    These {
        /// The counter after these changes; 0 for a commit without changes.
        seq: i64,
        /// Each with its own value of the counter.
        changes: Vec<(i64, Change)>,
    },
    /// Not all changes are known: they are too many, were deleted, or are of an unknown kind. Everything read before `seq`
    /// is out of date.
    Everything {
        /// The counter now.
        seq: i64,
    },
}

/// Follows the counter for one process.
#[derive(Debug)]
pub struct ChangeWatch {
    version: Option<DataVersion>,
    seen: i64,
    /// Whether SQLite reported a commit whose changes were not read yet. It does not report the same commit again.
    unread: bool,
    /// What the clock of the database said at the last poll, in Unix milliseconds; `None` on SQLite and before the first poll.
    database_millis: Option<i64>,
}

impl ChangeWatch {
    /// What the clock of the database said at the last poll, in Unix milliseconds. `None` on SQLite, whose clock is that of
    /// this machine, and before the first poll.
    pub fn database_millis(&self) -> Option<i64> {
        self.database_millis
    }
}

impl Storage {
    /// The counter now.
    pub async fn change_seq(&self) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(CURRENT).fetch_one(pool).await)?)
    }

    /// Starts following the counter from its present value, which is returned too.
    pub async fn watch_changes(&self) -> Result<(ChangeWatch, i64), StorageError> {
        let mut version = match &self.db {
            Db::Sqlite { read, .. } => Some(DataVersion::watch(read).await?),
            Db::Postgres(_) => None,
        };
        // Marked as seen before the counter is read, so that a commit in between is found by the next poll.
        if let Some(version) = &mut version {
            version.has_changed().await?;
        }
        let seen = self.change_seq().await?;
        Ok((ChangeWatch { version, seen, unread: false, database_millis: None }, seen))
    }

    /// What changed since the last call. An answer, even an empty one, includes everything that was committed before the call.
    pub async fn poll_changes(&self, watch: &mut ChangeWatch) -> Result<Changes, StorageError> {
        self.db.check_in_place()?;
        let nothing = Changes::These { seq: watch.seen, changes: Vec::new() };
        if let Some(version) = &mut watch.version {
            // Set before anything is awaited: this may fail, or the future may be dropped halfway.
            let was_unread = std::mem::replace(&mut watch.unread, true);
            if !version.has_changed().await? && !was_unread {
                watch.unread = false;
                return Ok(nothing);
            }
        }
        let began = Stopwatch::start();
        let since = self.changes_since(watch.seen).await;
        self.timings.poll.observe(began.elapsed());
        let (changes, database_millis) = since?;
        watch.database_millis = database_millis;
        let (Changes::These { seq, .. } | Changes::Everything { seq }) = &changes;
        watch.seen = *seq;
        watch.unread = false;
        Ok(changes)
    }

    async fn changes_since(&self, seen: i64) -> Result<(Changes, Option<i64>), StorageError> {
        type Row = (i64, Option<i64>, Option<String>, Option<String>, Option<i64>);
        let rows: Vec<Row> = match &self.db {
            Db::Sqlite { read, .. } => {
                sqlx::query_as(SINCE.sqlite).bind(seen).bind(CATCH_UP_LIMIT).fetch_all(read).await?
            }
            Db::Postgres(pool) => {
                let since = sqlx::query_as(SINCE.postgres).bind(seen).bind(CATCH_UP_LIMIT);
                within_limit(since.fetch_all(pool)).await?
            }
        };
        let Some(&(seq, .., database_millis)) = rows.first() else {
            return Err(StorageError::Damaged("service_state has no row".to_owned()));
        };
        // A row without a change, or of a kind that only a newer version knows, is left out and so leaves a gap.
        let changes: Vec<_> = rows
            .into_iter()
            .filter_map(|(_, number, kind, id, _)| Some((number?, Change::from_parts(&kind?, id?)?)))
            .collect();
        let whole = i64::try_from(changes.len()).is_ok_and(|count| seen + count == seq);
        let changes = if whole { Changes::These { seq, changes } } else { Changes::Everything { seq } };
        Ok((changes, database_millis))
    }

    /// Deletes all but the newest `keep` changes. Returns how many.
    pub async fn purge_changes(&self, keep: i64) -> Result<u64, StorageError> {
        on_write!(self, pool => sqlx::query(PURGE).bind(keep).execute(pool).await.map(|done| done.rows_affected()))
    }
}

impl Tx {
    /// Raises the counter once for each change noted. Only the audit events are written after that.
    pub(in crate::storage) async fn record_changes(&mut self) -> Result<Changes, StorageError> {
        let changes = std::mem::take(&mut self.changes);
        let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        if count == 0 {
            return Ok(Changes::These { seq: 0, changes: Vec::new() });
        }
        let last: i64 =
            on_tx!(self.db, conn => sqlx::query_scalar(RAISE).bind(count).fetch_one(&mut *conn).await)?;
        let mut numbered = Vec::with_capacity(changes.len());
        for (change, seq) in changes.into_iter().zip(last - count + 1..) {
            let (kind, id) = change.parts();
            on_tx!(self.db, conn => sqlx::query(LOG).bind(seq).bind(kind).bind(&*id).execute(&mut *conn).await.map(|_| ()))?;
            numbered.push((seq, change));
        }
        Ok(Changes::These { seq: last, changes: numbered })
    }
}
