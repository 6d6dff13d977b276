//! Opening a database by its URL: which engine it is, its schema brought up to date, and what an error may print.

use super::{Db, postgres, sqlite};
use crate::storage::StorageError;

impl Db {
    /// Opens the database and brings its schema up to date. A `sqlite:` URL creates the file and its folder if they do not
    /// exist.
    pub(in crate::storage) async fn open(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        if postgres::is_named_by(url) {
            let db = postgres::connect(url, max_connections).await?;
            db.migrate().await?;
            return Ok(db);
        }
        // Processes that open one SQLite file take turns: while one of them makes a new file a WAL database, another fails
        // as "locked" whatever its timeout, and the driver's own lock for migrations does nothing on SQLite.
        let _turn = sqlite::lock_opening(url).await?;
        let db = sqlite::connect(url, max_connections).await?;
        db.migrate().await?;
        if let Self::Sqlite { write, .. } = &db {
            sqlite::check_writable(write, url).await?;
        }
        Ok(db)
    }
}

pub(super) fn open_error(url: &str, why: &str) -> StorageError {
    StorageError::Open { url: without_password(url), why: why.to_owned() }
}

/// The part of a URL that may be printed. A password can be before the `@`, in the query, and anywhere in a URL that
/// cannot be parsed, so only parsed parts are shown.
fn without_password(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    if !postgres::is_named_by(url) {
        return "…".to_owned();
    }
    format!("postgres://{}", postgres::place(url).as_deref().unwrap_or("…"))
}
