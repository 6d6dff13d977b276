//! `mintmark migrate`: updates the schema of the database before a new version serves it.

use clap::Args;
use serde_json::json;

use super::opened::quiet_log;
use super::output::Format;
use super::{Failure, Global};
use crate::app;

/// Update the schema of the database
///
/// `mintmark serve` does this too when it starts. Run this command first to use another database user for the update, or to
/// update once before several servers start. It creates the database if it does not exist (SQLite only), and needs no
/// master key.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mintmark --config prod.toml migrate")]
pub(super) struct Migrate {
    #[command(flatten)]
    format: Format,
}

impl Migrate {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        quiet_log(&settings);
        app::migrate(&settings).await?;
        let engine = settings.database.engine();
        let document = json!({ "engine": engine, "schema": "current" });
        self.format.done(&document, format_args!("the schema of the {engine} database is up to date"))
    }
}
