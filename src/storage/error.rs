//! Errors of the database: it does not answer, it refuses, or it holds what it should not.

use thiserror::Error;

/// A failure of storage. Callers answer "unavailable" without the details.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The database did not answer or refused; trying again may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Another change was first: a row exists already, is still referred to, or refers to one that was deleted.
    #[error("the change conflicts with another: {0}")]
    Conflict(String),
    /// A stored value cannot be parsed, or the file is corrupt.
    #[error(
        "the database is damaged: {0}. Restore it from a backup, or repair it with the tools of the engine"
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
        "the database file {0} was moved, removed or replaced while it is served: put it back, or start again to serve \
         what is there now"
    )]
    Moved(String),
    /// The copy could not be made.
    #[error("no backup was made: {0}")]
    Backup(String),
    /// The backup could not be put in place.
    #[error("nothing was restored: {0}")]
    Restore(String),
    /// The schema is not one this program can serve.
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
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Unavailable(error),
        }
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
