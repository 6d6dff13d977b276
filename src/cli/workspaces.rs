//! `mintmark workspaces`: the tenants.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::output::Format;
use super::target::{Connection, HowMany, List, OnRecord, Target, UseCase};
use super::values::{Members, OptionValue};
use super::{Failure, Global};

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

/// List, create, show, change, suspend, resume and delete workspaces: the tenants
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark workspaces create acme-in --name 'Acme India'
  mintmark workspaces update acme-in --products-allowed e-invoicing,gst
  mintmark workspaces update acme-in --all-products
  mintmark workspaces suspend acme-in
  mintmark workspaces list --json"
)]
pub(super) struct Workspaces {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List all workspaces
    #[command(after_help = "Example:\n  mintmark workspaces list --json")]
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create a workspace
    #[command(after_help = "Example:\n  mintmark workspaces create acme-in --name 'Acme India'")]
    Create {
        /// The id, 1 to 64 characters of A-Z, a-z, 0-9, _ and -, not that of a deleted workspace [default: a generated ws_…]
        #[arg(allow_hyphen_values = true)]
        workspace_id: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Show a workspace
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark workspaces show acme-in")]
    Show {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
    },
    /// Change the given values of a workspace; an empty text ('') resets a value to its default
    #[command(
        after_help = "Example:\n  mintmark workspaces update acme-in --products-allowed e-invoicing,gst"
    )]
    Update {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Refuse all API clients of a workspace and suspend their tokens until it is resumed
    #[command(after_help = "Example:\n  mintmark workspaces suspend acme-in")]
    Suspend {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
    },
    /// Accept the API clients of a workspace again
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
        #[command(flatten)]
        confirm: Confirm,
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
    #[arg(long, value_name = "true|false")]
    never_expires_allowed: Option<OptionValue<bool>>,
    /// The only products its API clients may be granted; '' for none [default: all]
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    products_allowed: Option<Vec<String>>,
    /// Its API clients may be granted every product
    #[arg(long, conflicts_with = "products_allowed")]
    all_products: bool,
}

impl Change {
    /// The members of the request that these options set.
    fn into_members(self) -> Members {
        Members::default()
            .with("name", self.name)
            .with("description", self.description)
            .with("never_expires_allowed", self.never_expires_allowed)
            .with_list("products_allowed", self.products_allowed)
            .with("products_allowed", self.all_products.then_some(Value::Null))
    }
}

impl Workspaces {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        Target::with(global, &connection, async |target| act(verb, target, format).await).await
    }
}

async fn act(verb: Verb, target: &Target<'_>, format: Format) -> Result<(), Failure> {
    let ask = async |on| target.ask(UseCase::Workspace(on)).await;
    let record = |record: Value| format.record(&record, MEMBERS);
    let set_status = async |id, status: &str| ask(OnRecord::Change(id, json!({ "status": status }))).await;
    match verb {
        Verb::List { how_many } => target.print(&List::Workspaces, how_many, format, COLUMNS).await,
        Verb::Create { workspace_id, change } => {
            let body = change.into_members().with("workspace_id", workspace_id).into_body();
            record(ask(OnRecord::Create(body)).await?)
        }
        Verb::Show { workspace_id } => record(ask(OnRecord::Show(workspace_id)).await?),
        Verb::Update { workspace_id, change } => {
            record(ask(OnRecord::Change(workspace_id, change.into_members().into_body())).await?)
        }
        Verb::Suspend { workspace_id } => record(set_status(workspace_id, "suspended").await?),
        Verb::Resume { workspace_id } => record(set_status(workspace_id, "active").await?),
        Verb::Delete { workspace_id, confirm } => {
            confirm.ask(format_args!("Delete the workspace {workspace_id}, whose id is never used again"))?;
            ask(OnRecord::Delete(workspace_id.clone())).await?;
            let document = json!({ "workspace_id": workspace_id, "deleted": true });
            format.done(&document, format_args!("workspace {workspace_id} deleted"))
        }
    }
}
