//! A copy of the database, consistent and complete, while it is served; and putting one back. SQLite only: PostgreSQL
//! brings its own tools.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::engine::{PATIENCE, sqlite_path};
use super::{Storage, StorageError};

impl Storage {
    /// Writes the SQLite database at `url` to `file`, which must not exist, as it is at one instant. The database is
    /// only read: it is neither made nor migrated. Returns the size of the copy in bytes.
    ///
    /// # Errors
    /// [`StorageError::Backup`], [`StorageError::Open`], [`StorageError::Damaged`]; then no file is left.
    pub async fn back_up(url: &str, file: &Path) -> Result<u64, StorageError> {
        let database = sqlite_path(url)?;
        if !database.exists() {
            return Err(StorageError::Backup(format!("there is no database at {}", database.display())));
        }
        let target = Target::create(file)?;
        let options = SqliteConnectOptions::new().filename(&database).read_only(true).busy_timeout(PATIENCE);
        let mut connection = options.connect().await?;
        // Absolute, since SQLite takes `file:…` for a URI.
        sqlx::query("VACUUM INTO $1").bind(target.name()?).execute(&mut connection).await?;
        connection.close().await?;
        target.finish()
    }
}

impl Storage {
    /// Copies a backup to where the SQLite database of `url` is to be. There must be none, and no left-over of one: what
    /// is there may be all that is left of what happened since the backup.
    ///
    /// # Errors
    /// [`StorageError::Backup`], [`StorageError::Open`]; then nothing was put there.
    pub fn put_in_place(url: &str, file: &Path) -> Result<(), StorageError> {
        let database = sqlite_path(url)?;
        let beside = |suffix: &str| {
            let mut path = database.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        };
        let log = beside("-wal");
        // An empty log is what a process leaves that has stopped in order.
        let log_is_empty = fs::metadata(&log).is_ok_and(|log| log.len() == 0);
        for present in [&database, &log] {
            if present.exists() && !(present == &log && log_is_empty) {
                return Err(StorageError::Backup(format!(
                    "{} is there. Stop every process that serves it, move it away, and repeat",
                    present.display()
                )));
            }
        }
        let mut backup = File::open(file)
            .map_err(|error| StorageError::Backup(format!("cannot read {}: {error}", file.display())))?;
        if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| refused(folder, &error))?;
        }
        for left_over in [log, beside("-shm")] {
            // Of the database that was here; the next one makes its own.
            if left_over.exists() {
                fs::remove_file(&left_over).map_err(|error| refused(&left_over, &error))?;
            }
        }
        let target = Target::create(&database)?;
        let mut copy =
            OpenOptions::new().write(true).open(&target.path).map_err(|error| refused(&database, &error))?;
        io::copy(&mut backup, &mut copy).map_err(|error| refused(&database, &error))?;
        target.finish().map(|_| ())
    }
}

/// The file that is being written: made for us alone before a byte is in it, removed again if it is not finished.
struct Target {
    path: PathBuf,
    finished: bool,
}

impl Target {
    fn create(file: &Path) -> Result<Self, StorageError> {
        let path = std::path::absolute(file).map_err(|error| refused(file, &error))?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(
            |error| match error.kind() {
                io::ErrorKind::AlreadyExists => StorageError::Backup(format!(
                    "{} exists already, and a backup replaces nothing. Choose another name",
                    file.display()
                )),
                _ => refused(file, &error),
            },
        )?;
        Ok(Self { path, finished: false })
    }

    fn name(&self) -> Result<&str, StorageError> {
        let no_text =
            || StorageError::Backup(format!("{} is no UTF-8 text. Choose another name", self.path.display()));
        self.path.to_str().ok_or_else(no_text)
    }

    /// Returns once the copy and its name are on disk.
    fn finish(mut self) -> Result<u64, StorageError> {
        let sync = || {
            let copy = File::open(&self.path)?;
            copy.sync_all()?;
            if let Some(folder) = self.path.parent() {
                File::open(folder)?.sync_all()?;
            }
            Ok(copy.metadata()?.len())
        };
        let size = sync().map_err(|error| refused(&self.path, &error))?;
        self.finished = true;
        Ok(size)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished {
            // It is ours and incomplete; if it cannot be removed, it stays empty or partial beside the error told.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn refused(file: &Path, error: &io::Error) -> StorageError {
    StorageError::Backup(format!("cannot write {}: {error}", file.display()))
}
