//! `mintmark audit`: who changed what, and when; whether the trail is intact; an export of it; a new key for it.

mod export;
mod ocsf;
mod verify;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::json;

use export::Export;
use verify::Verify;

use crate::cli::host_user;
use crate::cli::opened::Opened;
use crate::cli::output::Format;
use crate::cli::target::{AuditList, Connection, HowMany, List, Target};
use crate::cli::values::Past;
use crate::cli::{Failure, Global};
use crate::model::audit::Action;

const COLUMNS: &[&str] = &["at", "actor", "action", "workspace_id", "client_id", "target", "detail"];

/// Show who changed what, and when; check and export the audit trail
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark audit list --since 24h
  mintmark audit list --workspace acme-in --action client.created --json
  mintmark audit list --client CLIENT_ID --limit 20
  mintmark audit list --action client.deleted --since 7d --count
  mintmark audit verify --checkpoint kept-elsewhere.txt
  mintmark audit export --since 2026-11-01 > audit.jsonl"
)]
pub(super) struct Audit {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the audit events, newest first
    #[command(after_help = "Examples:
  mintmark audit list --since 2026-11-01 --until 2026-12-01
  mintmark audit list --action access_tokens.revoked --limit 20")]
    List {
        /// Only events of this workspace
        #[arg(long, value_name = "WORKSPACE_ID", allow_hyphen_values = true)]
        workspace: Option<String>,
        /// Only events of this API client
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        /// Only events with this action
        #[arg(long, value_parser = PossibleValuesParser::new(Action::ALL.map(Action::as_str)))]
        action: Option<String>,
        /// Only events since then: a date like 2026-11-23 (00:00 UTC), an instant, or how long ago, like 24h or 7d
        #[arg(long, value_name = "DATE")]
        since: Option<Past>,
        /// Only events before then, in the same forms as --since
        #[arg(long, value_name = "DATE")]
        until: Option<Past>,
        #[command(flatten)]
        how_many: HowMany,
    },
    Verify(Verify),
    Export(Export),
    /// Begin a new log with a new key, if the key that signs the checkpoints may have been stolen
    ///
    /// The old log ends with a last checkpoint, which the first entry of the new one names. A running server publishes the new
    /// key within a minute.
    #[command(after_help = "Examples:
  mintmark audit new-key")]
    NewKey,
}

impl Audit {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        match verb {
            Verb::List { workspace, client, action, since, until, how_many } => {
                let list = List::AuditEvents(AuditList {
                    workspace_id: workspace,
                    client_id: client,
                    action,
                    since: since.map(|Past(at)| at),
                    until: until.map(|Past(at)| at),
                });
                Target::with(global, &connection, async |target| {
                    target.print(&list, how_many, format, COLUMNS).await
                })
                .await
            }
            Verb::Verify(verify) => verify.run(global, &connection, format).await,
            Verb::Export(export) => export.run(global, &connection, format).await,
            Verb::NewKey => {
                connection.must_be_local("mintmark audit new-key")?;
                Opened::with(global, async |opened| {
                    let ledger = &opened.core.services.ledger;
                    ledger.renew_audit_key(&host_user::manager()).await?;
                    let keys = ledger.audit_keys();
                    let key = keys.last().map(ToString::to_string).unwrap_or_default();
                    format.done(&json!({ "key": key }), format_args!("{key}"))
                })
                .await
            }
        }
    }
}
