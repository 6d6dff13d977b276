//! SQLite: one connection that writes, a pool that can only read, WAL with `synchronous=FULL`, and the file itself.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::open::open_error;
use super::{Db, WAIT_MAX};
use crate::storage::StorageError;

/// Page cache of a reading connection, in KiB as SQLite writes it. What is read often is cached above in its own form,
/// so a large page cache would only hold the same twice.
const READER_CACHE: &str = "-512";

/// Pages that collect in the write-ahead log before they are copied into the file (16 MB): a page that changes often is
/// then copied once for many changes.
const WRITE_AHEAD: &str = "4000";

pub(super) async fn connect(url: &str, max_connections: u32) -> Result<Db, StorageError> {
    let path = path(url)?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(WAIT_MAX);
    let pool = SqlitePoolOptions::new()
        // A file does not go away as a server does.
        .test_before_acquire(false)
        .acquire_timeout(WAIT_MAX)
        .idle_timeout(None)
        .max_lifetime(None);
    let write = pool
        .clone()
        .max_connections(1)
        .min_connections(1)
        .connect_with(options.clone().pragma("wal_autocheckpoint", WRITE_AHEAD))
        .await
        .map_err(|error| sqlite_open_error(url, error))?;
    let read = pool
        .max_connections(max_connections)
        .connect_with(options.create_if_missing(false).read_only(true).pragma("cache_size", READER_CACHE))
        .await
        .map_err(|error| sqlite_open_error(url, error))?;
    let file = ServedFile::open_at(path).map_err(|error| open_error(url, &error.to_string()))?;
    Ok(Db::Sqlite { read, write, file })
}

/// SQLite opens a read-only file without an error and would fail at the first change, so this writes at once.
pub(super) async fn check_writable(write: &SqlitePool, url: &str) -> Result<(), StorageError> {
    const CHANGE_NOTHING: &str = "UPDATE service_state SET change_seq = change_seq WHERE id = 1";
    sqlx::query(CHANGE_NOTHING).execute(write).await.map_err(|error| sqlite_open_error(url, error))?;
    Ok(())
}

pub(super) async fn close(read: &SqlitePool, write: &SqlitePool) {
    read.close().await;
    // SQLite does this by itself only when the last connection closes, and the one that watches for changes is still
    // open. Without it the file alone is not the whole database.
    if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(write).await {
        tracing::warn!(%error, "the write-ahead log could not be copied into the database file");
    }
    write.close().await;
}

/// The file of a `sqlite:` URL.
pub(super) fn path(url: &str) -> Result<PathBuf, StorageError> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .ok_or_else(|| open_error(url, "`database.url` must begin with sqlite:// or postgres://"))?;
    if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
        return Err(open_error(
            url,
            "give the path of a file, as in sqlite://data/mintmark.db, without parameters",
        ));
    }
    Ok(PathBuf::from(path))
}

/// The open database file by its path and its inode: while it is open, the path may come to name another file.
#[derive(Debug, Clone)]
pub(in crate::storage) struct ServedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl ServedFile {
    fn open_at(path: PathBuf) -> std::io::Result<Self> {
        let found = std::fs::metadata(&path)?;
        Ok(Self { device: found.dev(), inode: found.ino(), path })
    }

    /// Writes to a file without a name are lost when it is closed, so they must not be acknowledged.
    pub(super) fn check_in_place(&self) -> Result<(), StorageError> {
        match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(()),
            _ => Err(StorageError::Moved(self.path.display().to_string())),
        }
    }
}

/// Notices cheaply that some connection, perhaps of another process, has committed to the file.
#[derive(Debug)]
pub(in crate::storage) struct DataVersion {
    connection: SqliteConnection,
    seen: i64,
}

impl DataVersion {
    /// Watches through a connection of its own, since the number is only comparable within one connection.
    pub(in crate::storage) async fn watch(read: &SqlitePool) -> Result<Self, StorageError> {
        // Detached, since closing the pool waits for every connection that belongs to it.
        Ok(Self { connection: read.acquire().await?.detach(), seen: -1 })
    }

    /// Whether anything was committed since the last call.
    pub(in crate::storage) async fn has_changed(&mut self) -> Result<bool, StorageError> {
        let now: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.connection).await?;
        Ok(std::mem::replace(&mut self.seen, now) != now)
    }
}

/// Creates the file of a database that does not exist yet, and its folder, readable by their owner only. SQLite creates
/// its other files with the mode of the database.
fn make_private(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        // Another process was first.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

/// Takes the lock under which one process at a time opens and migrates a database, and creates the file of a new one. The
/// lock is released with the file handle.
pub(super) async fn lock_opening(url: &str) -> Result<File, StorageError> {
    let database = path(url)?;
    make_private(&database).map_err(|error| open_error(url, &format!("cannot create it: {error}")))?;
    let lock = move || {
        let mut path = database.into_os_string();
        path.push(".migrate-lock");
        let file = File::options().create(true).truncate(false).write(true).open(Path::new(&path))?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    };
    match tokio::task::spawn_blocking(lock).await {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(error)) => {
            Err(StorageError::Migrate(format!("cannot take the lock beside the database: {error}")))
        }
        Err(error) => Err(StorageError::Migrate(error.to_string())),
    }
}

fn sqlite_open_error(url: &str, error: sqlx::Error) -> StorageError {
    match StorageError::from(error) {
        damaged @ StorageError::Damaged(_) => damaged,
        other => open_error(url, &format!("{other}. Check the path, its owner and the free space")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(folder: &tempfile::TempDir) -> (SqlitePool, SqlitePool) {
        let url = format!("sqlite://{}/mintmark.db", folder.path().display());
        let Db::Sqlite { read, write, .. } = Db::open(&url, 2).await.unwrap() else {
            panic!("a sqlite: URL opens SQLite")
        };
        (read, write)
    }

    #[tokio::test]
    async fn a_commit_is_forced_to_the_disk() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = opened(&folder).await;
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&write).await.unwrap();
        assert_eq!(synchronous, FULL);
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&write).await.unwrap();
        assert_eq!(journal, "wal");
        close(&read, &write).await;
    }

    #[tokio::test]
    async fn sqlite_is_compiled_with_the_flags_of_the_cargo_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = opened(&folder).await;
        let options: Vec<String> =
            sqlx::query_scalar("PRAGMA compile_options").fetch_all(&read).await.unwrap();
        let why = "cargo reads .cargo/config.toml only when it runs in the repository";
        for flag in ["DEFAULT_MEMSTATUS=0", "STMTJRNL_SPILL=122880"] {
            assert!(options.iter().any(|option| option == flag), "{why}: {options:?}");
        }
        assert!(!options.iter().any(|option| option.starts_with("ENABLE_FTS")), "{why}: {options:?}");
        close(&read, &write).await;
    }
}
