//! `mintmark backup FILE`: a copy of the database to keep elsewhere.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::opened::quiet_log;
use super::output::Format;
use super::{Failure, Global};
use crate::app;
use crate::config::MasterKey;

/// Copy the SQLite database to a file, while it is served.
///
/// The copy is of one instant, complete, and readable by its owner alone. The file must not exist. The master key is
/// not in it: keep a copy of that elsewhere, since neither is of use without the other. The database is neither
/// migrated nor changed, so this is the command to run before an upgrade.
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
                "this database is PostgreSQL's, which has tools of its own: pg_dump --format=custom --file={file} \
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
        eprintln!("The master key ({key}) is not in it. Keep a copy of that too, in another place.");
        Ok(())
    }
}
