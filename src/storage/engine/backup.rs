//! Backing up a SQLite database while it is in use, and restoring it. PostgreSQL has its own tools.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::WAIT_MAX;
use super::sqlite::{make_folder_of, path as sqlite_path};
use crate::storage::{Storage, StorageError};

impl Storage {
    /// Writes a snapshot of the SQLite database at `url` to `file`, which must not exist. The database is only read: it is
    /// neither created nor migrated. Returns the size of the copy, and which master key opens it.
    ///
    /// # Errors
    /// [`StorageError::Backup`], [`StorageError::Open`]; other variants if a query fails. Then no copy is left.
    pub async fn back_up(url: &str, file: &Path) -> Result<Backup, StorageError> {
        let database = sqlite_path(url)?;
        if !database.exists() {
            return Err(StorageError::Backup(format!("there is no database at {}", database.display())));
        }
        let target = Target::create(file).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StorageError::Backup(format!(
                "{} exists already, and a backup replaces no file. Choose another name",
                file.display()
            )),
            _ => not_backed_up(file, &error),
        })?;
        let options = SqliteConnectOptions::new().filename(&database).read_only(true).busy_timeout(WAIT_MAX);
        let mut connection = options.connect().await?;
        // Absolute, because SQLite reads `file:…` as a URI.
        sqlx::query("VACUUM INTO $1").bind(target.name()?).execute(&mut connection).await?;
        connection.close().await?;
        // From the copy, because the key may be changed during the backup.
        let master_fingerprint = read_fingerprint(file).await?;
        let bytes = target.finish().map_err(|error| not_backed_up(file, &error))?;
        note_backup(&database);
        Ok(Backup { bytes, master_fingerprint })
    }

    /// Reads every page of a backup. Checks that the backup is complete and that no row refers to a missing one.
    ///
    /// # Errors
    /// [`StorageError::Backup`] with the first damage of the copy. [`StorageError::Damaged`] if a row refers to a missing one:
    /// then the database has this row too. Other variants if a query fails.
    pub async fn verify_backup(file: &Path) -> Result<(), StorageError> {
        let mut connection = open_copy(file).await?;
        let found: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_all(&mut connection).await?;
        if found != ["ok"] {
            return Err(StorageError::Backup(format!(
                "the copy {} is damaged: {}. Delete it, check the disk, and run the backup again",
                file.display(),
                found.join("; ")
            )));
        }
        let orphans: Vec<(String, Option<i64>, String, i64)> =
            sqlx::query_as("PRAGMA foreign_key_check").fetch_all(&mut connection).await?;
        if let Some((table, _, refers_to, _)) = orphans.first() {
            return Err(StorageError::Damaged(format!(
                "a row of {table} refers to a row of {refers_to} that is missing"
            )));
        }
        connection.close().await?;
        Ok(())
    }
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The size of the copy.
    pub bytes: u64,
    /// The fingerprint of the master key that opens the backup; `None` if the database has not been served yet.
    pub master_fingerprint: Option<Vec<u8>>,
}

async fn open_copy(file: &Path) -> Result<SqliteConnection, StorageError> {
    // A copy has no write-ahead log, and none should be created.
    Ok(SqliteConnectOptions::new().filename(file).read_only(true).immutable(true).connect().await?)
}

async fn read_fingerprint(file: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let mut connection = open_copy(file).await?;
    // A database that was never migrated has no such table.
    let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'service_state'";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await?;
    if tables == 0 {
        connection.close().await?;
        return Ok(None);
    }
    let found = sqlx::query_scalar("SELECT master_fingerprint FROM service_state WHERE id = 1");
    let found = found.fetch_optional(&mut connection).await?;
    connection.close().await?;
    Ok(found.flatten())
}

/// The suffix of the file whose modification time says when the database was last backed up.
const NOTE: &str = ".last-backup";

/// Records in a file that a backup was made, for the metrics of a process that serves the database. The database itself is
/// not changed.
fn note_backup(database: &Path) {
    let note = beside(database, NOTE);
    let written = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&note);
    if let Err(error) = written.and_then(|mut file| file.write_all(b"mintmark backup\n")) {
        tracing::warn!(%error, "{} could not be written, so the metrics will not show this backup", note.display());
    }
}

pub(super) fn last_backup(database: &Path) -> Option<i64> {
    let modified = fs::metadata(beside(database, NOTE)).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The suffix of a copy until it is safe to serve.
const STAGED: &str = ".restoring";

impl Storage {
    /// Copies a backup to a file next to the path of the SQLite database of `url`. Returns the URL of the copy. The caller
    /// has to make the copy safe to serve before [`Storage::put_in_place`]. There must be no database at the path. A
    /// write-ahead log there must be empty, since it could be the only record of what happened since the backup.
    ///
    /// # Errors
    /// [`StorageError::Restore`], [`StorageError::Open`]; then there is no finished copy.
    pub fn stage(url: &str, file: &Path) -> Result<String, StorageError> {
        let database = sqlite_path(url)?;
        must_be_absent(&database)?;
        let mut backup = File::open(file)
            .map_err(|error| StorageError::Restore(format!("cannot read {}: {error}", file.display())))?;
        make_folder_of(&database).map_err(|error| not_restored(&database, &error))?;
        // An earlier attempt may have left a copy behind. This attempt starts again.
        let staged = beside(&database, STAGED);
        remove_with_its_log(&staged)?;
        let target = Target::create(&staged).map_err(|error| not_restored(&staged, &error))?;
        let mut copy = OpenOptions::new()
            .write(true)
            .open(&target.path)
            .map_err(|error| not_restored(&staged, &error))?;
        io::copy(&mut backup, &mut copy).map_err(|error| not_restored(&staged, &error))?;
        target.finish().map_err(|error| not_restored(&staged, &error))?;
        Ok(format!("{url}{STAGED}"))
    }

    /// Renames a staged copy, which has been closed, to the name under which it is served.
    ///
    /// # Errors
    /// [`StorageError::Restore`], [`StorageError::Open`]. Then there is still no database, unless a step after the renaming
    /// failed.
    pub fn put_in_place(url: &str) -> Result<(), StorageError> {
        let database = sqlite_path(url)?;
        must_be_absent(&database)?;
        let staged = beside(&database, STAGED);
        if !is_empty_or_absent(&beside(&staged, "-wal")) {
            return Err(StorageError::Restore(format!(
                "{} is not complete without its write-ahead log: another process has it open, or did not close it. Stop that \
                 process, and run the restore again",
                staged.display()
            )));
        }
        for left_over in [beside(&database, "-wal"), beside(&database, "-shm")] {
            // These files belong to the old database; the new one creates its own.
            remove(&left_over)?;
        }
        let place = || {
            fs::rename(&staged, &database)?;
            let folder = std::path::absolute(&database)?;
            folder.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        place().map_err(|error| not_restored(&database, &error))?;
        remove_with_its_log(&staged)
    }

    /// Removes a staged copy that is not to be served.
    ///
    /// # Errors
    /// [`StorageError::Restore`], [`StorageError::Open`].
    pub fn discard_staged(url: &str) -> Result<(), StorageError> {
        remove_with_its_log(&beside(&sqlite_path(url)?, STAGED))
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Whether a write-ahead log contains nothing. A process that stopped properly leaves an empty log or none.
fn is_empty_or_absent(log: &Path) -> bool {
    fs::metadata(log).map_or(true, |log| log.len() == 0)
}

fn must_be_absent(database: &Path) -> Result<(), StorageError> {
    let log = beside(database, "-wal");
    let present = if database.exists() { database } else { &log };
    if !database.exists() && is_empty_or_absent(&log) {
        return Ok(());
    }
    Err(StorageError::Restore(format!(
        "{} exists already, and a restore replaces no database. Stop every process that serves it, move it away, \
         and run the restore again",
        present.display()
    )))
}

fn remove(file: &Path) -> Result<(), StorageError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_restored(file, &error)),
        _ => Ok(()),
    }
}

fn remove_with_its_log(database: &Path) -> Result<(), StorageError> {
    for suffix in ["", "-wal", "-shm", ".migrate-lock"] {
        remove(&beside(database, suffix))?;
    }
    Ok(())
}

fn not_restored(file: &Path, error: &io::Error) -> StorageError {
    StorageError::Restore(format!("cannot write {}: {error}", file.display()))
}

/// The file that is being written. Only its owner can read it, and it is removed if it is not finished.
struct Target {
    path: PathBuf,
    finished: bool,
}

impl Target {
    fn create(file: &Path) -> io::Result<Self> {
        let path = std::path::absolute(file)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, finished: false })
    }

    fn name(&self) -> Result<&str, StorageError> {
        let no_text = || {
            StorageError::Backup(format!("{} is not valid UTF-8. Choose another name", self.path.display()))
        };
        self.path.to_str().ok_or_else(no_text)
    }

    /// Waits until the copy and its name are on disk. Returns the size of the copy in bytes.
    fn finish(mut self) -> io::Result<u64> {
        let copy = File::open(&self.path)?;
        copy.sync_all()?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let size = copy.metadata()?.len();
        self.finished = true;
        Ok(size)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished {
            // The file is incomplete. The error that led here is reported; one from the removal would add nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn not_backed_up(file: &Path, error: &io::Error) -> StorageError {
    StorageError::Backup(format!("cannot write {}: {error}", file.display()))
}
