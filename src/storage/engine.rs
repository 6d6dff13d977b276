//! The two engines behind one set of statements: SQLite (one writer, many readers, WAL, `synchronous=FULL`) and
//! PostgreSQL. Only this file knows how they differ in connecting, locking and migrating.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Postgres, Sqlite, SqliteConnection, Transaction};

use super::StorageError;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a statement may wait for a connection or for another writer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Page cache of a reading connection, in KiB as SQLite writes it. What is read often is held in memory in its own
/// form, so a large cache of pages would only be the same thing twice.
const READER_CACHE: &str = "-512";

/// Pages that gather in the write-ahead log before they are folded into the file (16 MB): a page that is changed often
/// is then folded once for many changes.
const WRITE_AHEAD: &str = "4000";

/// The open database.
#[derive(Debug, Clone)]
pub(super) enum Db {
    /// SQLite: writes go through one connection, reads through a pool that cannot write.
    Sqlite {
        /// Read-only connections.
        read: SqlitePool,
        /// The one writer.
        write: SqlitePool,
        /// The file that both have open.
        file: ServedFile,
    },
    /// PostgreSQL.
    Postgres(PgPool),
}

/// A database file by its path and by what it is, which a path may cease to name while it is open.
#[derive(Debug, Clone)]
pub(super) struct ServedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl ServedFile {
    fn of(path: PathBuf) -> std::io::Result<Self> {
        let found = std::fs::metadata(&path)?;
        Ok(Self { device: found.dev(), inode: found.ino(), path })
    }

    /// What is written to a file that has lost its name is gone when it is closed, so it must not be acknowledged.
    fn must_be_in_place(&self) -> Result<(), StorageError> {
        match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(()),
            _ => Err(StorageError::Moved(self.path.display().to_string())),
        }
    }
}

/// An open transaction on either engine.
#[derive(Debug)]
pub(super) enum DbTx {
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
}

/// Runs one body against a pool for reading, once for each engine, so that each is static dispatch.
macro_rules! on_read {
    ($storage:expr, $pool:ident => $body:expr) => {
        match &$storage.db {
            crate::storage::engine::Db::Sqlite { read: $pool, .. } => $body,
            crate::storage::engine::Db::Postgres($pool) => $body,
        }
    };
}

/// The same for a single statement that writes by itself, outside a transaction.
macro_rules! on_write {
    ($storage:expr, $pool:ident => $body:expr) => {
        match &$storage.db {
            crate::storage::engine::Db::Sqlite { write: $pool, .. } => $body,
            crate::storage::engine::Db::Postgres($pool) => $body,
        }
    };
}

/// The same within a transaction. `$conn` is used as `&mut *$conn`.
macro_rules! on_tx {
    ($tx:expr, $conn:ident => $body:expr) => {
        match &mut $tx {
            crate::storage::engine::DbTx::Sqlite(transaction) => {
                let $conn: &mut sqlx::SqliteConnection = &mut *transaction;
                $body
            }
            crate::storage::engine::DbTx::Postgres(transaction) => {
                let $conn: &mut sqlx::PgConnection = &mut *transaction;
                $body
            }
        }
    };
}

/// Makes SQL constants and the list of all of them, which a test prepares on both engines.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        /// Every statement of this file.
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

pub(super) use {on_read, on_tx, on_write, statements};

impl Db {
    /// Opens the database and brings its schema up to date. `sqlite:` creates the file and its folder.
    pub(super) async fn open(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        let db = Self::connect(url, max_connections).await?;
        db.migrate(url).await?;
        db.check_writable(url).await?;
        Ok(db)
    }

    /// SQLite opens a file that may only be read without a word, and would fail at the first change.
    async fn check_writable(&self, url: &str) -> Result<(), StorageError> {
        const CHANGE_NOTHING: &str = "UPDATE service_state SET change_seq = change_seq WHERE id = 1";
        if let Self::Sqlite { write, .. } = self {
            sqlx::query(CHANGE_NOTHING)
                .execute(write)
                .await
                .map_err(|error| sqlite_open_error(url, error))?;
        }
        Ok(())
    }

    async fn connect(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        if is_postgres(url) {
            let options = PgConnectOptions::from_str(url)
                .map_err(|error| open_error(url, &format!("the URL is not understood: {error}")))?
                .application_name("mintmark");
            let pool = PgPoolOptions::new()
                .max_connections(max_connections)
                .acquire_timeout(PATIENCE)
                .connect_with(options)
                .await
                .map_err(|error| {
                    open_error(url, &format!("{error}. Is PostgreSQL running, and may this user connect?"))
                })?;
            let version = pool.acquire().await?.server_version_num();
            check_postgres_version(version).map_err(|why| open_error(url, &why))?;
            return Ok(Self::Postgres(pool));
        }
        let path = sqlite_path(url)?;
        make_private(&path).map_err(|error| open_error(url, &format!("cannot create it: {error}")))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let writer = SqlitePoolOptions::new()
            // A file does not go away as a server does.
            .test_before_acquire(false)
            .max_connections(1)
            .min_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None);
        let write = writer
            .connect_with(options.clone().pragma("wal_autocheckpoint", WRITE_AHEAD))
            .await
            .map_err(|error| sqlite_open_error(url, error))?;
        let read = SqlitePoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.create_if_missing(false).read_only(true).pragma("cache_size", READER_CACHE))
            .await
            .map_err(|error| sqlite_open_error(url, error))?;
        let file = ServedFile::of(path).map_err(|error| open_error(url, &error.to_string()))?;
        Ok(Self::Sqlite { read, write, file })
    }

    async fn migrate(&self, url: &str) -> Result<(), StorageError> {
        match self {
            Self::Sqlite { write, .. } => {
                // The driver's own lock does nothing on SQLite, so processes take turns by a lock on a file beside
                // the database. The lock ends with the file handle.
                let _turn = lock_beside(sqlite_path(url)?).await?;
                SQLITE_MIGRATIONS.run(write).await
            }
            Self::Postgres(pool) => POSTGRES_MIGRATIONS.run(pool).await,
        }
        .map_err(|error| match error {
            MigrateError::VersionMissing(version) => StorageError::Migrate(format!(
                "it has the schema version {version}, which this program does not know. It was last used by a newer \
                 Mintmark: start that version, or restore a backup made before the upgrade"
            )),
            MigrateError::VersionMismatch(version) => StorageError::Migrate(format!(
                "the migration {version} was applied in another form than this program carries. Use the program that \
                 made the database"
            )),
            MigrateError::Execute(error) => match StorageError::from(error) {
                damaged @ StorageError::Damaged(_) => damaged,
                other => StorageError::Migrate(other.to_string()),
            },
            other => StorageError::Migrate(other.to_string()),
        })
    }

    /// Begins a writing transaction. On SQLite it takes the write lock at once, since a read that turns into a write
    /// fails as busy whatever the timeout.
    pub(super) async fn begin(&self) -> Result<DbTx, StorageError> {
        Ok(match self {
            Self::Sqlite { write, file, .. } => {
                file.must_be_in_place()?;
                DbTx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres(pool) => DbTx::Postgres(pool.begin().await?),
        })
    }

    /// Begins a transaction in which all reads see one state of the database.
    pub(super) async fn snapshot(&self) -> Result<DbTx, StorageError> {
        Ok(match self {
            Self::Sqlite { read, .. } => DbTx::Sqlite(read.begin().await?),
            Self::Postgres(pool) => {
                DbTx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// Whether the schema is the one this program was built with.
    pub(super) async fn schema_is_current(&self) -> Result<bool, StorageError> {
        const APPLIED: &str =
            "SELECT COUNT(*), COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
        let ((applied, newest), ours) = match self {
            Self::Sqlite { read, file, .. } => {
                file.must_be_in_place()?;
                (sqlx::query_as::<_, (i64, i64)>(APPLIED).fetch_one(read).await?, &SQLITE_MIGRATIONS)
            }
            Self::Postgres(pool) => {
                (sqlx::query_as::<_, (i64, i64)>(APPLIED).fetch_one(pool).await?, &POSTGRES_MIGRATIONS)
            }
        };
        let expected = ours.iter().map(|m| m.version).max().unwrap_or(0);
        Ok(newest == expected && usize::try_from(applied).ok() == Some(ours.iter().count()))
    }

    /// Closes every connection; on SQLite this also folds the write-ahead log into the file.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                // SQLite does this by itself only when the last connection closes, and the one that watches for
                // changes lives on. Without it the file alone would be no whole database.
                if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(write).await {
                    tracing::warn!(%error, "the write-ahead log could not be folded into the database file");
                }
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl DbTx {
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    pub(super) async fn rollback(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Notices cheaply that some connection, perhaps of another process, has committed to a SQLite file.
#[derive(Debug)]
pub(super) struct DataVersion {
    connection: SqliteConnection,
    seen: i64,
}

impl DataVersion {
    /// Watches through a connection of its own, since the number is only comparable within one connection.
    pub(super) async fn watch(read: &SqlitePool) -> Result<Self, StorageError> {
        // Taken out of the pool, since closing the pool waits for every connection that is its own.
        Ok(Self { connection: read.acquire().await?.detach(), seen: -1 })
    }

    /// Whether anything was committed since the last call.
    pub(super) async fn moved(&mut self) -> Result<bool, StorageError> {
        let now: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.connection).await?;
        Ok(std::mem::replace(&mut self.seen, now) != now)
    }
}

/// Makes the file of a database that is not there yet, and its folder, for their owner alone. The engine makes its
/// other files as the database is.
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

/// Whether the URL names PostgreSQL; everything else is SQLite.
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The file of a `sqlite:` URL.
pub(super) fn sqlite_path(url: &str) -> Result<PathBuf, StorageError> {
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

async fn lock_beside(database: PathBuf) -> Result<File, StorageError> {
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
            Err(StorageError::Migrate(format!("cannot take the migration lock beside the database: {error}")))
        }
        Err(error) => Err(StorageError::Migrate(error.to_string())),
    }
}

/// Holds the server's version (`150004` for 15.4; `None` if it does not tell) to what the statements are tested with.
fn check_postgres_version(version: Option<u32>) -> Result<(), String> {
    const OLDEST: u32 = 15;
    match version {
        Some(version) if version < OLDEST * 10_000 => Err(format!(
            "the server is PostgreSQL {}, and Mintmark needs {OLDEST} or newer: upgrade it, or name another server",
            version / 10_000
        )),
        _ => Ok(()),
    }
}

fn sqlite_open_error(url: &str, error: sqlx::Error) -> StorageError {
    match StorageError::from(error) {
        damaged @ StorageError::Damaged(_) => damaged,
        other => open_error(url, &format!("{other}. Check the path, its owner and the free space")),
    }
}

fn open_error(url: &str, why: &str) -> StorageError {
    StorageError::Open { url: without_password(url), why: why.to_owned() }
}

/// What of a URL may be printed. A password can stand before the `@` and in the query, and anywhere in a URL that is
/// not understood, so only what was understood is shown.
fn without_password(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let understood = is_postgres(url).then(|| PgConnectOptions::from_str(url).ok()).flatten();
    understood.map_or_else(
        || format!("{scheme}://…"),
        |options| {
            let place = options.get_socket().map_or_else(
                || format!("{}:{}", options.get_host(), options.get_port()),
                |socket| socket.display().to_string(),
            );
            format!("{scheme}://{place}/{}", options.get_database().unwrap_or_default())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_acknowledged_on_sqlite_was_forced_to_the_disk() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/mintmark.db", folder.path().display());
        let db = Db::open(&url, 2).await.unwrap();
        let Db::Sqlite { write, .. } = &db else { panic!("a sqlite: URL opens SQLite") };
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(write).await.unwrap();
        assert_eq!(synchronous, FULL);
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(write).await.unwrap();
        assert_eq!(journal, "wal");
        db.close().await;
    }

    #[test]
    fn an_old_postgres_is_refused_by_its_name() {
        for version in [None, Some(150_000), Some(150_004), Some(180_001)] {
            assert_eq!(check_postgres_version(version), Ok(()));
        }
        let why = check_postgres_version(Some(140_012)).unwrap_err();
        assert!(why.contains("PostgreSQL 14") && why.contains("15 or newer"), "{why}");
        assert!(check_postgres_version(Some(90_624)).unwrap_err().contains("PostgreSQL 9"));
    }

    #[tokio::test]
    async fn sqlite_is_compiled_in_as_the_cargo_configuration_says() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/mintmark.db", folder.path().display());
        let db = Db::open(&url, 2).await.unwrap();
        let Db::Sqlite { read, .. } = &db else { panic!("a sqlite: URL opens SQLite") };
        let options: Vec<String> =
            sqlx::query_scalar("PRAGMA compile_options").fetch_all(read).await.unwrap();
        let why = "cargo reads .cargo/config.toml only when it is run in the repository";
        assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{why}: {options:?}");
        assert!(!options.iter().any(|option| option.starts_with("ENABLE_FTS")), "{why}: {options:?}");
        db.close().await;
    }
}
