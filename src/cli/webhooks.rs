//! `mintmark webhooks`: the URLs to which the events of a workspace are sent.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::output::Format;
use super::target::{Connection, HowMany, List, OnWebhook, Target, UseCase};
use super::values::{Members, OptionValue};
use super::{Failure, Global};

const COLUMNS: &[&str] = &["webhook_id", "url", "status", "events", "description"];
const MEMBERS: &[&str] = &[
    "webhook_id",
    "workspace_id",
    "url",
    "events",
    "description",
    "status",
    "disabled_reason",
    "public_key",
    "created_at",
    "updated_at",
];
const CREATED: &[&str] =
    &["webhook_id", "workspace_id", "url", "events", "description", "status", "public_key", "signing_secret"];
const KEYS: &[&str] = &["webhook_id", "signing_secret", "public_key", "old_sign_until"];

const DELIVERIES: &[&str] = &[
    "delivery_id",
    "type",
    "status",
    "queued_at",
    "attempts",
    "next_attempt_at",
    "last_status",
    "last_error",
];
const DELIVERY: &[&str] =
    &["delivery_id", "webhook_id", "type", "status", "queued_at", "attempts", "next_attempt_at"];

/// List, create, show, change and delete webhooks: the URLs that get the events of a workspace
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark webhooks create acme-in --url https://hooks.acme.example/mintmark
  mintmark webhooks create platform --url https://a.example --events 'client.*'
  mintmark webhooks list acme-in --json
  mintmark webhooks replace-secrets WEBHOOK_ID"
)]
pub(super) struct Webhooks {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the webhooks of a workspace
    #[command(after_help = "Example:\n  mintmark webhooks list acme-in --json")]
    List {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create a webhook and print its secret, which is shown only now
    #[command(
        after_help = "Example:\n  mintmark webhooks create acme-in --url https://hooks.acme.example/mintmark"
    )]
    Create {
        /// The workspace; a webhook of the workspace `platform` gets the events of all workspaces
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Show a webhook
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark webhooks show WEBHOOK_ID")]
    Show {
        /// The webhook
        webhook_id: String,
    },
    /// Change the given values of a webhook; an empty text ('') resets a value to its default
    #[command(after_help = "Example:\n  mintmark webhooks update WEBHOOK_ID --status disabled")]
    Update {
        /// The webhook
        webhook_id: String,
        #[command(flatten)]
        change: Change,
        /// active, or disabled: no requests are sent
        #[arg(long)]
        status: Option<OptionValue<String>>,
    },
    /// Replace the keys that sign the requests, and print the new secret; the old keys also sign for 24 more hours
    #[command(
        visible_alias = "rotate",
        after_help = "Example:\n  mintmark webhooks replace-secrets WEBHOOK_ID"
    )]
    ReplaceSecrets {
        /// The webhook
        webhook_id: String,
    },
    /// Send a test event, of the type webhook.test
    #[command(after_help = "Example:\n  mintmark webhooks test WEBHOOK_ID")]
    Test {
        /// The webhook
        webhook_id: String,
    },
    /// List the deliveries to a webhook, newest first; sent ones are kept for 7 days, those given up for 30
    #[command(after_help = "Example:\n  mintmark webhooks deliveries WEBHOOK_ID --limit 20")]
    Deliveries {
        /// The webhook
        webhook_id: String,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Send a delivery again, with the same id
    #[command(after_help = "Example:\n  mintmark webhooks resend WEBHOOK_ID DELIVERY_ID")]
    Resend {
        /// The webhook
        webhook_id: String,
        /// The delivery
        delivery_id: String,
    },
    /// Delete a webhook
    #[command(after_help = "Example:\n  mintmark webhooks delete WEBHOOK_ID")]
    Delete {
        /// The webhook
        webhook_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Args)]
struct Change {
    /// The https URL to which the requests are sent
    #[arg(long)]
    url: Option<OptionValue<String>>,
    /// The events to send, separated by commas: names like client.created, groups like client.*, or * for all
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    events: Option<Vec<String>>,
    /// Send all events except status_list.changed and audit.checkpoint, which is the default
    #[arg(long, conflicts_with = "events")]
    usual_events: bool,
    /// Free text about it; '' for none
    #[arg(long, value_name = "TEXT")]
    description: Option<OptionValue<String>>,
}

impl Change {
    /// The members of the request that these options set.
    fn into_members(self) -> Members {
        Members::default()
            .with("url", self.url)
            .with_list("events", self.events)
            .with("events", self.usual_events.then_some(Value::Null))
            .with("description", self.description)
    }
}

impl Webhooks {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        Target::with(global, &connection, async |target| act(verb, target, format).await).await
    }
}

async fn act(verb: Verb, target: &Target<'_>, format: Format) -> Result<(), Failure> {
    let ask = async |on| target.ask(UseCase::Webhook(on)).await;
    let record = |record: Value| format.record(&record, MEMBERS);
    match verb {
        Verb::List { workspace_id, how_many } => {
            target.print(&List::Webhooks { workspace_id }, how_many, format, COLUMNS).await
        }
        Verb::Create { workspace_id, change } => {
            let body = change.into_members().into_body();
            shown_once(format, &ask(OnWebhook::Create { workspace_id, body }).await?, CREATED)
        }
        Verb::Show { webhook_id } => record(ask(OnWebhook::Show(webhook_id)).await?),
        Verb::Update { webhook_id, change, status } => {
            let body = change.into_members().with("status", status).into_body();
            record(ask(OnWebhook::Change(webhook_id, body)).await?)
        }
        Verb::ReplaceSecrets { webhook_id } => {
            shown_once(format, &ask(OnWebhook::ReplaceKeys(webhook_id)).await?, KEYS)
        }
        Verb::Test { webhook_id } => format.record(&ask(OnWebhook::Test(webhook_id)).await?, DELIVERY),
        Verb::Deliveries { webhook_id, how_many } => {
            target.print(&List::Deliveries { webhook_id }, how_many, format, DELIVERIES).await
        }
        Verb::Resend { webhook_id, delivery_id } => {
            format.record(&ask(OnWebhook::Resend { webhook_id, delivery_id }).await?, DELIVERY)
        }
        Verb::Delete { webhook_id, confirm } => {
            confirm.ask(format_args!("Delete the webhook {webhook_id}"))?;
            ask(OnWebhook::Delete(webhook_id.clone())).await?;
            let document = json!({ "webhook_id": webhook_id, "deleted": true });
            format.done(&document, format_args!("webhook {webhook_id} deleted"))
        }
    }
}

/// Prints a record with a secret, and says that the secret is not shown again.
fn shown_once(format: Format, record: &Value, members: &[&str]) -> Result<(), Failure> {
    format.record(record, members)?;
    eprintln!("\nKeep the secret: it is not shown again.");
    Ok(())
}
