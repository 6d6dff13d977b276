//! Errors of the database: it does not answer, it refuses, it contains invalid data, or its files cannot be used.

use thiserror::Error;

/// A failure of storage. Endpoints answer [`StorageError::Conflict`] with a conflict, and the others with "unavailable" without
/// the details.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The database refused, or the connection to it failed; trying again may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database gave no answer in time: it hangs, is overloaded, or another writer holds what is needed.
    #[error("the database does not answer in time: {0}")]
    Stalled(String),
    /// Another change was first: a row exists already, is still referred to, or refers to one that was deleted.
    #[error("the change conflicts with another: {0}")]
    Conflict(String),
    /// A stored value cannot be parsed, or the file is corrupt.
    #[error(
        "the database is damaged: {0}. Restore the database from a backup, or repair it with the tools of SQLite or PostgreSQL"
    )]
    Damaged(String),
    /// The database cannot be opened.
    #[error("cannot open the database `{url}`: {why}")]
    Open {
        /// The URL without its password.
        url: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The SQLite file is no longer where it was opened.
    #[error(
        "the database file {0} was moved, removed or replaced while it was being served, so nothing more is written. Put it \
         back, or start the service again to use the file that is there now"
    )]
    Moved(String),
    /// A file that belongs to the open SQLite database is gone.
    #[error(
        "{log} was removed or replaced while {database} was being served, so the last changes are only in the file that this \
         process still has open. Stop the service with SIGTERM, which writes them into the database, and start it again. Never \
         remove files beside a database that is in use"
    )]
    LogGone {
        /// The path of the file that is gone: the write-ahead log or its index.
        log: String,
        /// The path of the database.
        database: String,
    },
    /// The copy could not be made.
    #[error("no backup was made: {0}")]
    Backup(String),
    /// The backup could not be put in place.
    #[error("nothing was restored: {0}")]
    Restore(String),
    /// The schema cannot be brought up to date, or is not one that this program can serve.
    #[error("cannot migrate the database: {0}")]
    Migrate(String),
}

impl StorageError {
    /// Whether the engine rolled the transaction back to end a deadlock.
    pub fn is_deadlock(&self) -> bool {
        // PostgreSQL's `deadlock_detected`; SQLite has one writer at a time and so no deadlock.
        matches!(self, Self::Unavailable(sqlx::Error::Database(db)) if db.code().as_deref() == Some("40P01"))
    }
}

impl StorageError {
    /// Whether the database did not answer, as opposed to refusing.
    pub fn is_stall(&self) -> bool {
        matches!(self, Self::Stalled(_))
    }

    /// Whether a file of the open SQLite database is gone.
    pub fn is_file_gone(&self) -> bool {
        matches!(self, Self::Moved(_) | Self::LogGone { .. })
    }

    /// The kind of failure, for the log: `stall`, `damage`, `file_gone`, or `refusal` for all others.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stalled(_) => "stall",
            Self::Damaged(_) => "damage",
            error if error.is_file_gone() => "file_gone",
            _ => "refusal",
        }
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(db) if db.is_foreign_key_violation() || db.is_unique_violation() => {
                Self::Conflict(db.message().to_owned())
            }
            // SQLITE_CORRUPT and SQLITE_NOTADB, with their extended codes (low byte 11 and 26).
            sqlx::Error::Database(db) if is_sqlite_damage(db.as_ref()) => {
                Self::Damaged(db.message().to_owned())
            }
            sqlx::Error::PoolTimedOut => Self::Stalled("no connection was free".to_owned()),
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => Self::Stalled(io.to_string()),
            sqlx::Error::Database(db) if is_lock_timeout(db.as_ref()) => {
                Self::Stalled(db.message().to_owned())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Unavailable(error),
        }
    }
}

/// Whether the engine gave up waiting: SQLite for another writer (`SQLITE_BUSY`), PostgreSQL for a lock, or for the end
/// of a statement (`lock_not_available`, `query_canceled`).
fn is_lock_timeout(error: &dyn sqlx::error::DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
        Some(_) => code.parse::<i64>().is_ok_and(|code| code & 0xff == 5),
        None => matches!(&*code, "55P03" | "57014"),
    }
}

fn is_sqlite_damage(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
        && error
            .code()
            .and_then(|code| code.parse::<i64>().ok())
            .is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Parses a stored word; an unknown one means that the database is damaged.
pub(super) fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, StorageError> {
    text.parse().map_err(|_| StorageError::Damaged(format!("{what} is `{}`", text.escape_debug())))
}
