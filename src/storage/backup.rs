//! A copy of the database, consistent and complete, while it is served. SQLite only: PostgreSQL brings its own tools.

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
