//! `mintmark audit`: who changed what, and when.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::output::Format;
use super::target::{AuditList, Connection, HowMany, List, Target};
use super::values::Past;
use super::{Failure, Global};
use crate::model::audit::Action;

const COLUMNS: &[&str] = &["at", "actor", "action", "workspace_id", "client_id", "target", "detail"];

/// Show who changed what, and when
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark audit list --since 24h
  mintmark audit list --workspace acme-in --action client.created --json
  mintmark audit list --client CLIENT_ID --limit 20
  mintmark audit list --action client.deleted --since 7d --count"
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
        /// Only those of this workspace
        #[arg(long, value_name = "WORKSPACE_ID", allow_hyphen_values = true)]
        workspace: Option<String>,
        /// Only those of this API client
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        /// Only this action
        #[arg(long, value_parser = PossibleValuesParser::new(Action::ALL.map(Action::as_str)))]
        action: Option<String>,
        /// Only since then: a date like 2026-11-23 (00:00 UTC), an instant, or how long ago, like 24h or 7d
        #[arg(long, value_name = "DATE")]
        since: Option<Past>,
        /// Only before then, in the same forms
        #[arg(long, value_name = "DATE")]
        until: Option<Past>,
        #[command(flatten)]
        how_many: HowMany,
    },
}

impl Audit {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self {
            verb: Verb::List { workspace, client, action, since, until, how_many },
            connection,
            format,
        } = self;
        let list = List::AuditEvents(AuditList {
            workspace_id: workspace,
            client_id: client,
            action,
            since: since.map(|Past(at)| at),
            until: until.map(|Past(at)| at),
        });
        Target::with(global, &connection, async |target| target.print(&list, how_many, format, COLUMNS).await)
            .await
    }
}
