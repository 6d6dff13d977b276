//! `mintmark backup FILE`: copies the SQLite database while the server is running.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::opened::quiet_log;
use super::output::Format;
use super::{Failure, Global};
use crate::app::{self, BackupKey};

/// Copy the SQLite database to a file; the server may be running
///
/// The copy is a complete snapshot that only its owner can read. The file must not exist. The master key is not part of it:
/// keep a copy of the key in another place, because each is useless without the other. The database is neither changed nor
/// migrated, so run this before an upgrade.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mintmark backup --verify /backups/mintmark-2027-01-31.db")]
pub(super) struct Backup {
    /// The file to write
    file: PathBuf,
    /// Read every page of the copy, and fail if one is damaged
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    format: Format,
}

impl Backup {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        quiet_log(&settings);
        let file = self.file.display();
        if settings.database.engine() != "SQLite" {
            return Err(Failure::Fault(format!(
                "the database is PostgreSQL, which has its own tools: use pg_dump --format=custom --file={file} \
                 DATABASE_URL, or continuous archiving"
            )));
        }
        let made = app::back_up(&settings, &self.file, self.verify).await?;
        let (key, fingerprint, advice) = match made.key {
            BackupKey::Configured(key) => {
                let advice = format!(
                    "The backup does not contain the master key ({key}). Keep a copy of that too, in another place."
                );
                (Some(key), None, advice)
            }
            BackupKey::Other { fingerprint, file: Some(key) } => {
                let key = key.display().to_string();
                let advice = format!(
                    "The backup does not contain the master key, which is in {key}, not where the settings say: set \
                     keys.master_key_file to {key} before the next start. Keep a copy of that file too, in another place."
                );
                (Some(key), Some(fingerprint), advice)
            }
            BackupKey::Other { fingerprint, file: None } => {
                let advice = format!(
                    "The backup does not contain the master key, which was not found where the settings say: it is the key \
                     with the fingerprint {fingerprint} (after `mintmark keys rewrap`, the new one). Keep a copy of that \
                     too, in another place."
                );
                (None, Some(fingerprint), advice)
            }
            BackupKey::None => {
                (None, None, "The database has not been served yet, so it has no master key.".to_owned())
            }
        };
        let bytes = made.bytes;
        let verified = if self.verify { ", verified" } else { "" };
        self.format.done(
            &json!({
                "file": self.file, "bytes": bytes, "verified": self.verify,
                "master_key": key, "master_key_fingerprint": fingerprint,
            }),
            format_args!("{file}: {bytes} bytes{verified}"),
        )?;
        eprintln!("{advice}");
        Ok(())
    }
}
