//! SQLite: one connection that writes, a pool that can only read, WAL with `synchronous=FULL`, and the file itself.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use sqlx::{Connection as _, SqliteConnection};

use super::open::open_error;
use super::{Db, WAIT_MAX};
use crate::storage::StorageError;

/// The page cache of a reading connection: 512 KiB. To SQLite a negative number means KiB, a positive one pages. Data that is
/// read often is cached elsewhere, so a large page cache would only store it twice.
const READER_CACHE: &str = "-512";

/// The size of a page of a new file, in bytes. A commit of many tokens changes adjacent pages. With larger pages there are
/// fewer of them, and each costs two writes. Files that were made with pages of 4,096 bytes keep them: for such a file,
/// the sizes in MB below are half as large.
const PAGE_SIZE: u32 = 8_192;

/// Pages that collect in the write-ahead log before they are copied into the file (16 MB): a page that changes often is
/// then copied once for many changes.
const WRITE_AHEAD: &str = "2000";

/// Where the writer keeps what it needs to undo a statement. A file would double the writes of a commit of many tokens. The
/// memory is bounded, since each statement changes a bounded number of rows.
const IN_MEMORY: &str = "MEMORY";

/// The size in bytes to which SQLite cuts the write-ahead log after a change that made it longer: twice what usually
/// collects in it.
const WRITE_AHEAD_BYTES: &str = "33554432";

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
        // A file does not become unavailable like a server.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(is_clean(connection)) }))
        .acquire_timeout(WAIT_MAX)
        .idle_timeout(None)
        .max_lifetime(None);
    let mut writing = options
        .clone()
        .pragma("temp_store", IN_MEMORY)
        .pragma("wal_autocheckpoint", WRITE_AHEAD)
        .pragma("journal_size_limit", WRITE_AHEAD_BYTES);
    if std::fs::metadata(&path).map_or(true, |file| file.len() == 0) {
        // Page size and vacuum mode cannot be changed later without rewriting the file.
        writing = writing.page_size(PAGE_SIZE).auto_vacuum(SqliteAutoVacuum::Incremental);
    }
    let write = pool
        .clone()
        .max_connections(1)
        .min_connections(1)
        .connect_with(writing)
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

/// Whether a connection that comes from the pool is in no transaction. When a disk is full or broken, SQLite rolls back
/// by itself; the driver still counts the transaction as open, and could never begin another one (or, within a
/// savepoint, would read one old state of the database from then on). Such a connection is closed, and the pool opens
/// another.
fn is_clean(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

/// SQLite opens a read-only file without an error and would fail at the first change, so this writes at once.
pub(super) async fn check_writable(write: &SqlitePool, url: &str) -> Result<(), StorageError> {
    const CHANGE_NOTHING: &str = "UPDATE service_state SET change_seq = change_seq WHERE id = 1";
    sqlx::query(CHANGE_NOTHING).execute(write).await.map_err(|error| sqlite_open_error(url, error))?;
    Ok(())
}

/// Frees up to 500 pages (4 MB). It is not more at once, because other writers wait meanwhile.
const GIVEN_BACK: &str = "PRAGMA incremental_vacuum(500)";
/// How many free pages are kept for the next rows (4 MB).
const KEPT_FREE: i64 = 500;

/// Gives the space of deleted rows back to the file system, a bounded number of pages. Returns whether there is more.
pub(super) async fn give_back_space(write: &SqlitePool) -> Result<bool, sqlx::Error> {
    let free = || sqlx::query_scalar("PRAGMA freelist_count").fetch_one(write);
    let before: i64 = free().await?;
    if before <= KEPT_FREE {
        return Ok(false);
    }
    // SQLite frees one page for each row that is read, so all rows are read.
    sqlx::query(GIVEN_BACK).fetch_all(write).await?;
    let after: i64 = free().await?;
    // A file made without `auto_vacuum` keeps its free pages.
    Ok(after < before && after > KEPT_FREE)
}

pub(super) async fn close(read: &SqlitePool, write: &SqlitePool) {
    read.close().await;
    // SQLite copies the log into the file by itself only when the last connection closes, and the connection that watches for
    // changes is still open. Without the copy, the file alone is not the whole database.
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

/// The files of the open database and their inodes. While the files are open, a path may come to name another file, or
/// none.
#[derive(Debug, Clone)]
pub(in crate::storage) struct ServedFile(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    /// The database, the log of what is not in it yet, and the index of that log, which holds the locks. Each with its
    /// path, device and inode.
    files: [(PathBuf, u64, u64); 3],
}

impl ServedFile {
    /// Notes the files of a database that is open and was read, so that SQLite has made all of them.
    fn open_at(path: PathBuf) -> std::io::Result<Self> {
        let found = |suffix: &str| {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            let name = PathBuf::from(name);
            let file = std::fs::metadata(&name)?;
            Ok::<_, std::io::Error>((name, file.dev(), file.ino()))
        };
        let files = [found("")?, found("-wal")?, found("-shm")?];
        Ok(Self(Arc::new(Opened { path, files })))
    }

    /// The path of the database.
    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Fails if another file, or none, is at the path of an open one. Writes to a file that no longer has a name are lost
    /// when it is closed, so they must not be acknowledged.
    pub(super) fn check_in_place(&self) -> Result<(), StorageError> {
        for (path, device, inode) in &self.0.files {
            match std::fs::metadata(path) {
                Ok(found) if (found.dev(), found.ino()) == (*device, *inode) => {}
                _ if *path == self.0.path => return Err(StorageError::Moved(path.display().to_string())),
                _ => {
                    return Err(StorageError::LogGone {
                        log: path.display().to_string(),
                        database: self.0.path.display().to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Notices cheaply that some connection, perhaps of another process, has committed to the file.
#[derive(Debug)]
pub(in crate::storage) struct DataVersion {
    connection: SqliteConnection,
    seen: i64,
}

impl DataVersion {
    /// Watches through a connection of its own, since `data_version` is only comparable within one connection.
    pub(in crate::storage) async fn watch(read: &SqlitePool) -> Result<Self, StorageError> {
        // Detached, since closing the pool waits for every connection that belongs to it.
        Ok(Self { connection: read.acquire().await?.detach(), seen: -1 })
    }

    /// Whether anything was committed since the last call; `true` at the first call.
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
    make_folder_of(path)?;
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        // Another process was first.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

/// Creates the folder that a file is to be in, for its owner only.
pub(super) fn make_folder_of(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)
        }
        _ => Ok(()),
    }
}

/// The suffix of the lock file.
const LOCK: &str = ".migrate-lock";
/// The time between two attempts to take a lock that another process holds.
const LOCK_RETRY: Duration = Duration::from_millis(50);
/// After how many attempts the log says that another process holds the lock.
const LOCK_TRIES_IN_SILENCE: u32 = 20;

/// Takes the lock under which one process at a time opens and migrates a database, and creates the file of a new one. The
/// lock is released with the file handle. While another process holds it, the returned future waits, and can be cancelled.
pub(super) async fn lock_opening(url: &str) -> Result<File, StorageError> {
    let database = path(url)?;
    make_private(&database).map_err(|error| open_error(url, &format!("cannot create it: {error}")))?;
    let refused = |error: &std::io::Error| {
        StorageError::Migrate(format!(
            "{}{LOCK} cannot be locked: {error}. This file keeps two processes from migrating one database: check its owner, \
             its mode and the free space",
            database.display()
        ))
    };
    let file = open_lock(&database).map_err(|error| refused(&error))?;
    for tries in 0_u32.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(refused(&error)),
        }
        if tries == LOCK_TRIES_IN_SILENCE {
            tracing::warn!(
                database = %database.display(),
                "another process is opening or migrating this database: waiting until it is done"
            );
        }
        tokio::time::sleep(LOCK_RETRY).await;
    }
    Ok(file)
}

/// The lock file. It has the mode of the database, because every user who can read the file could hold the lock.
fn open_lock(database: &Path) -> std::io::Result<File> {
    let mode = std::fs::metadata(database)?.permissions().mode() & 0o777;
    let mut path = database.as_os_str().to_owned();
    path.push(LOCK);
    let file = File::options().create(true).truncate(false).write(true).mode(mode).open(Path::new(&path))?;
    let found = file.metadata()?.permissions().mode() & 0o777;
    if found & !mode != 0 {
        // An earlier version created it with another mode. If it belongs to another user, that user has to change the mode.
        let _ = file.set_permissions(Permissions::from_mode(found & mode));
    }
    Ok(file)
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
    async fn a_commit_is_forced_to_the_disk_and_temporary_data_is_in_memory() {
        const FULL: i64 = 2;
        const MEMORY: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = opened(&folder).await;
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&write).await.unwrap();
        assert_eq!(synchronous, FULL);
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&write).await.unwrap();
        assert_eq!(journal, "wal");
        // The migration, which sorts in a file, has set it back.
        let temporary: i64 = sqlx::query_scalar("PRAGMA temp_store").fetch_one(&write).await.unwrap();
        assert_eq!(temporary, MEMORY);
        close(&read, &write).await;
    }

    #[tokio::test]
    async fn a_new_file_has_large_pages_and_an_old_one_keeps_its_page_size() {
        let folder = tempfile::tempdir().unwrap();
        let old = tempfile::tempdir().unwrap();
        let made =
            SqliteConnectOptions::new().filename(old.path().join("mintmark.db")).create_if_missing(true);
        let mut made = SqliteConnection::connect_with(&made.page_size(4_096)).await.unwrap();
        sqlx::query("CREATE TABLE old_table (id INTEGER)").execute(&mut made).await.unwrap();
        made.close().await.unwrap();
        for (folder, expected) in [(folder, PAGE_SIZE), (old, 4_096)] {
            let (read, write) = opened(&folder).await;
            let size: u32 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&read).await.unwrap();
            assert_eq!(size, expected);
            close(&read, &write).await;
        }
    }

    #[tokio::test]
    async fn sqlite_is_compiled_with_the_flags_of_the_cargo_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = opened(&folder).await;
        let options: Vec<String> =
            sqlx::query_scalar("PRAGMA compile_options").fetch_all(&read).await.unwrap();
        let why = "cargo reads .cargo/config.toml only when it runs in the repository";
        let flag = "DEFAULT_MEMSTATUS=0";
        assert!(options.iter().any(|option| option == flag), "{why}: {options:?}");
        assert!(!options.iter().any(|option| option.starts_with("ENABLE_FTS")), "{why}: {options:?}");
        close(&read, &write).await;
    }
}
