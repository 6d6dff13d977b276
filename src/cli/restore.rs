//! `mintmark restore [FILE]`: restores a backup and revokes tokens, because a backup does not contain later revocations.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::confirm::Confirm;
use super::opened::Opened;
use super::output::Format;
use super::{Failure, Global};
use crate::app;
use crate::cli::host_user;
use crate::config::Settings;
use crate::tokens::Restored;

/// Restore a backup, and revoke all tokens
///
/// With FILE, a copy made by `mintmark backup` becomes the SQLite database; there must be no database yet. Without FILE, it
/// works on the database as it is: run it after pg_restore, before the first `mintmark serve`. No server may be running.
///
/// A backup does not contain what happened after it was made, such as revocations. So all tokens are revoked, recorded or
/// not, and new status lists are started. Running it twice does no harm.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mintmark restore /backups/mintmark-2027-01-31.db
  mintmark restore --keep-recorded-tokens   after pg_restore")]
pub(super) struct Restore {
    /// The backup to restore (SQLite)
    file: Option<PathBuf>,
    /// Keep the recorded tokens of the backup valid, even those that were revoked after the backup was made
    #[arg(long)]
    keep_recorded_tokens: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    format: Format,
}

impl Restore {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        let restored = match &self.file {
            None => {
                let tokens = if self.keep_recorded_tokens { "all short-lived tokens" } else { "all tokens" };
                self.confirm.ask(format_args!("Revoke {tokens} in the configured database"))?;
                self.make_safe(settings).await?
            }
            Some(_) if settings.database.engine() != "SQLite" => {
                return Err(Failure::Fault(
                    "the database is PostgreSQL, which has its own tools: run pg_restore first, then `mintmark restore` \
                     without a file"
                        .to_owned(),
                ));
            }
            // The copy is made safe before it gets its final name, so that an interrupted restore leaves no unsafe database.
            Some(file) => match self.make_safe(app::stage(&settings, file)?).await {
                Ok(restored) => {
                    app::put_in_place(&settings)?;
                    restored
                }
                Err(failure) => {
                    // If this fails too, only the first failure is reported; the next restore removes the copy.
                    let _ = app::discard_staged(&settings);
                    return Err(failure);
                }
            },
        };
        let (clients, revoked, kept) = (restored.clients, restored.revoked_tokens, restored.kept_tokens);
        self.format.done(
            &json!({ "clients": clients, "revoked_tokens": revoked, "kept_tokens": kept }),
            format_args!(
                "short-lived tokens of {clients} API clients revoked; {revoked} recorded tokens revoked, {kept} kept"
            ),
        )?;
        eprint!("{NOT_IN_THE_BACKUP}");
        if self.keep_recorded_tokens {
            eprint!("{KEPT_TOKENS}");
        }
        Ok(())
    }

    async fn make_safe(&self, settings: Settings) -> Result<Restored, Failure> {
        Opened::with_settings(settings, async |opened| {
            let services = &opened.core.services;
            Ok(services.tokens.make_restored_safe(&host_user::manager(), self.keep_recorded_tokens).await?)
        })
        .await
    }
}

const NOT_IN_THE_BACKUP: &str = "\
The backup does not contain what happened after it was made. Check these yourself:
- API clients, client secrets, products and workspaces that were deleted, disabled or suspended since are back: delete,
  disable or suspend them again. API clients and client secrets created since are missing: create new ones.
- Signing keys that were deleted since are back. If one was stolen: mintmark keys revoke KID
- Audit events since are lost, and emails and webhook requests that were waiting at that time may be sent again.
- Tokens that were issued since are revoked, but a verifier that does not check status lists accepts them until they
  expire.
";

const KEPT_TOKENS: &str = "- Recorded tokens that were revoked since are valid again: revoke them again with mintmark tokens revoke.\n";
