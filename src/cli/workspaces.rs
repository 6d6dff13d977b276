//! `mintmark workspaces`: the tenants.

use clap::{Args, Subcommand};
use serde_json::json;

use super::opened::{Opened, all_pages};
use super::output::Format;
use super::values::{OptionValue, member, members};
use super::{Failure, Global};
use crate::kernel::{Manager, Precondition, to_json};
use crate::model::member::Member;
use crate::tenants::WorkspaceChange;

const COLUMNS: &[&str] = &["workspace_id", "name", "status", "never_expires_allowed", "products_allowed"];
const MEMBERS: &[&str] = &[
    "workspace_id",
    "name",
    "description",
    "status",
    "never_expires_allowed",
    "products_allowed",
    "created_at",
    "updated_at",
];

/// List, create, show, update, suspend, resume and delete workspaces: the tenants.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark workspaces create acme-in --name 'Acme India'
  mintmark workspaces update acme-in --products-allowed e-invoicing,gst
  mintmark workspaces update acme-in --all-products
  mintmark workspaces suspend acme-in
  mintmark workspaces list --json")]
pub(super) struct Workspaces {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All workspaces
    #[command(after_help = "Example:\n  mintmark workspaces list --json")]
    List,
    /// Create a workspace
    #[command(after_help = "Example:\n  mintmark workspaces create acme-in --name 'Acme India'")]
    Create {
        /// 1 to 64 characters of A-Z, a-z, 0-9, _ and -, never used again [default: a new ws_…]
        #[arg(allow_hyphen_values = true)]
        workspace_id: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// One workspace
    #[command(after_help = "Example:\n  mintmark workspaces show acme-in")]
    Show {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
    },
    /// Change the members given; an empty text ('') resets a member to its default
    #[command(
        after_help = "Example:\n  mintmark workspaces update acme-in --name 'Acme India' --products-allowed e-invoicing,gst"
    )]
    Update {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Refuse all its API clients until it is resumed
    #[command(after_help = "Example:\n  mintmark workspaces suspend acme-in")]
    Suspend {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
    },
    /// Accept its API clients again
    #[command(after_help = "Example:\n  mintmark workspaces resume acme-in")]
    Resume {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
    },
    /// Delete a workspace that has no API clients
    #[command(after_help = "Example:\n  mintmark workspaces delete acme-in")]
    Delete {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
    },
}

#[derive(Debug, Args)]
struct Change {
    /// Its display name
    #[arg(long)]
    name: Option<OptionValue<String>>,
    /// Free text about it; '' for none
    #[arg(long, value_name = "TEXT")]
    description: Option<OptionValue<String>>,
    /// Whether its API clients may have tokens that never expire [default: true]
    #[arg(long, value_name = "BOOL")]
    never_expires_allowed: Option<OptionValue<bool>>,
    /// The only products its API clients may be granted; '' for none [default: all]
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    products_allowed: Option<Vec<String>>,
    /// Its API clients may be granted every product
    #[arg(long, conflicts_with = "products_allowed")]
    all_products: bool,
}

impl From<Change> for WorkspaceChange {
    fn from(change: Change) -> Self {
        Self {
            name: member(change.name),
            description: member(change.description),
            never_expires_allowed: member(change.never_expires_allowed),
            products_allowed: if change.all_products {
                Member::Null
            } else {
                members(change.products_allowed)
            },
            ..Self::default()
        }
    }
}

fn status(status: &str) -> WorkspaceChange {
    WorkspaceChange { status: Member::Value(status.to_owned()), ..WorkspaceChange::default() }
}

impl Workspaces {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        Opened::with(global, async |opened| self.act(opened).await).await
    }

    async fn act(self, opened: &Opened) -> Result<(), Failure> {
        let (services, caller, format) = (&opened.core.services, Manager::command_line(), self.format);
        let update = async |workspace_id: String, change: WorkspaceChange| -> Result<(), Failure> {
            let changed = services
                .tenants
                .change_workspace(&caller, &workspace_id, &Precondition::None, &change)
                .await?;
            format.record(&to_json(&changed), MEMBERS)
        };
        match self.verb {
            Verb::List => {
                let workspaces =
                    all_pages(async |page| services.tenants.workspaces(&caller, &page).await).await?;
                let records: Vec<_> = workspaces.iter().map(to_json).collect();
                format.list(&records, COLUMNS)?;
            }
            Verb::Create { workspace_id, change } => {
                let id = Member::from(workspace_id);
                let created = services.tenants.create_workspace(&caller, &id, &change.into(), None).await?;
                format.record(&to_json(&created), MEMBERS)?;
            }
            Verb::Show { workspace_id } => {
                format
                    .record(&to_json(&services.tenants.workspace(&caller, &workspace_id).await?), MEMBERS)?;
            }
            Verb::Update { workspace_id, change } => update(workspace_id, change.into()).await?,
            Verb::Suspend { workspace_id } => update(workspace_id, status("suspended")).await?,
            Verb::Resume { workspace_id } => update(workspace_id, status("active")).await?,
            Verb::Delete { workspace_id } => {
                services.tenants.delete_workspace(&caller, &workspace_id, &Precondition::None).await?;
                let document = json!({ "workspace_id": workspace_id, "deleted": true });
                format.done(&document, format_args!("workspace {workspace_id} deleted"))?;
            }
        }
        Ok(())
    }
}
