//! `mintmark restore [FILE]`: a backup comes back, and nothing that was issued after it was made is believed.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::opened::Opened;
use super::output::Format;
use super::{Failure, Global};
use crate::app;
use crate::config::Settings;
use crate::kernel::Caller;
use crate::tokens::Restored;

/// Put a backup in place, or make safe what the database's own tools put there.
///
/// With FILE, a copy made by `mintmark backup` becomes the SQLite database; there must be none in its place. Without,
/// the database is taken as it is: run it after pg_restore, before the first `mintmark serve`. No process may be
/// serving it.
///
/// A restored database does not know what happened after its backup. So every client gets a new generation, which kills
/// its stateless tokens, and all recorded tokens are revoked; status lists begin anew. Running it twice does no harm.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mintmark restore /backups/mintmark-2027-01-31.db
  mintmark restore --keep-recorded-tokens       after pg_restore, with tokens that nobody can replace")]
pub(super) struct Restore {
    /// The backup to put in place (SQLite)
    file: Option<PathBuf>,
    /// Let recorded tokens that the backup knows live on; one that was revoked after the backup lives again
    #[arg(long)]
    keep_recorded_tokens: bool,
    #[command(flatten)]
    format: Format,
}

impl Restore {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        let restored = match &self.file {
            None => self.make_safe(settings).await?,
            Some(_) if settings.database.engine() != "SQLite" => {
                return Err(Failure::Fault(
                    "this database is PostgreSQL's, which has tools of its own: pg_restore it first, then run \
                     `mintmark restore` without a file"
                        .to_owned(),
                ));
            }
            // Safe before it has the name by which it is served, whatever happens in between.
            Some(file) => match self.make_safe(app::stage(&settings, file)?).await {
                Ok(restored) => {
                    app::put_in_place(&settings)?;
                    restored
                }
                Err(failure) => {
                    app::discard_staged(&settings)?;
                    return Err(failure);
                }
            },
        };
        let (clients, revoked, kept) = (restored.clients, restored.revoked_tokens, restored.kept_tokens);
        self.format.done(
            &json!({ "clients": clients, "revoked_tokens": revoked, "kept_tokens": kept }),
            format_args!(
                "{clients} API clients begin a new generation; {revoked} recorded tokens revoked, {kept} kept"
            ),
        )?;
        eprint!("{WHAT_CANNOT_BE_KNOWN}");
        if self.keep_recorded_tokens {
            eprint!("{KEPT}");
        }
        Ok(())
    }

    async fn make_safe(&self, settings: Settings) -> Result<Restored, Failure> {
        Opened::with_settings(settings, async |opened| {
            let services = &opened.core.services;
            Ok(services.tokens.make_restored_safe(&Caller::command_line(), self.keep_recorded_tokens).await?)
        })
        .await
    }
}

const WHAT_CANNOT_BE_KNOWN: &str = "\
What happened after the backup was made is not known to it. Look after these yourself:
- API clients, secrets, products and workspaces that were deleted or suspended since are back as they were: delete or
  suspend them again; secrets added since are gone.
- Signing keys that were deleted since are back. If one was stolen: mintmark keys revoke KID
- Audit events since are lost, and mails that were waiting then may be sent again.
- Tokens that were issued since are dead, though a verifier that does not look at status lists accepts them until they
  expire.
";

const KEPT: &str =
    "- Recorded tokens that were revoked since live again: revoke them again with mintmark tokens revoke.\n";
