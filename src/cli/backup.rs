//! `mintmark backup FILE`: copies the SQLite database while the server is running.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::opened::quiet_log;
use super::output::Format;
use super::{Failure, Global};
use crate::app;
use crate::config::MasterKey;

/// Copy the SQLite database to a file; the server may be running
///
/// The copy is a complete snapshot that only its owner can read. The file must not exist. The master key is not part of it:
/// keep a copy of the key in another place, because each is useless without the other. The database is neither changed nor
/// migrated, so run this before an upgrade.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mintmark backup /backups/mintmark-2027-01-31.db")]
pub(super) struct Backup {
    /// The file to write
    file: PathBuf,
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
        let bytes = app::back_up(&settings, &self.file).await?;
        self.format
            .done(&json!({ "file": self.file, "bytes": bytes }), format_args!("{file}: {bytes} bytes"))?;
        let key = match &settings.keys.master_key {
            MasterKey::Inline(_) => "keys.master_key".to_owned(),
            MasterKey::File { path, .. } => path.display().to_string(),
        };
        eprintln!(
            "The backup does not contain the master key ({key}). Keep a copy of that too, in another place."
        );
        Ok(())
    }
}
