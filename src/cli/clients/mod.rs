//! `mintmark clients`: the API clients of a workspace and their secrets. A secret is printed once, when it is created.

mod change;
mod many;
mod usage;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::output::{Format, Listing, line};
use super::target::{ClientList, Connection, HowMany, List, OnClient, Sort, Target, UseCase};
use super::values::{Before, Duration, End, Members, Pair, Past};
use super::{Failure, Global};
use change::Change;
use many::Many;

const COLUMNS: &[&str] = &["client_id", "label", "status", "products", "permissions", "token_expiry"];
/// The columns of a list over all workspaces.
const COLUMNS_OF_ALL: &[&str] =
    &["client_id", "workspace_id", "label", "status", "products", "token_expiry", "last_used_at"];
const MEMBERS: &[&str] = &[
    "client_id",
    "workspace_id",
    "label",
    "description",
    "status",
    "products",
    "permissions",
    "token_expiry",
    "active_tokens",
    "replace_grace_seconds",
    "signing_alg",
    "allowed_ips",
    "notification_emails",
    "expires_at",
    "metadata",
    "last_used_at",
    "created_at",
    "updated_at",
];
const SECRET_COLUMNS: &[&str] = &[
    "secret_id",
    "last_four",
    "created_at",
    "expires_at",
    "last_used_at",
    "last_used_from",
    "used_last_24h",
];
const SHOWN_ONCE: &str = "\nKeep the secret: it is not shown again.";

/// List, create, show, change, enable, disable and delete API clients, add and delete their secrets, show their usage
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark clients create acme-in --label ERP --products e-invoicing,gst
  mintmark clients create acme --label SAP --products gst --token-expiry never
  mintmark clients create acme-in --label Trial --products gst --expires-at 30d
  mintmark clients update CLIENT_ID --allowed-ips 203.0.113.0/24
  mintmark clients update CLIENT_ID --allowed-ips ''
  mintmark clients add-secret CLIENT_ID --expire-others-after 1d
  mintmark clients add-secret CLIENT_ID --expire-others-after 0 --revoke-tokens
  mintmark clients update CLIENT_ID --active-tokens 5
  mintmark clients update CLIENT_ID --active-tokens replace --replace-grace 60
  mintmark clients disable CLIENT_ID
  mintmark clients update-many --where-product gst --token-expiry 1h --dry-run
  mintmark clients usage CLIENT_ID
  mintmark clients failures CLIENT_ID
  mintmark clients list platform --json
  mintmark clients get CLIENT_ID --remote https://tokens.example.com"
)]
pub(super) struct Clients {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the API clients of a workspace, or of all workspaces, newest first
    #[command(after_help = "\
Examples:
  mintmark clients list acme-in --product gst --status active
  mintmark clients list --secret-expires-before 30d
  mintmark clients list --product gst --count
  mintmark clients list --unused-since 90d --sort last_used_at")]
    List {
        /// The workspace [default: all]
        #[arg(allow_hyphen_values = true)]
        workspace_id: Option<String>,
        /// Only those whose label contains this
        #[arg(long)]
        label: Option<String>,
        /// Only those that are granted this product
        #[arg(long)]
        product: Option<String>,
        /// Only those with this status
        #[arg(long, value_parser = ["active", "disabled"])]
        status: Option<String>,
        /// Only those that have this pair in their metadata; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        metadata: Vec<Pair>,
        /// Only those with a secret that expires before then: a date, or a duration from now like 30d
        #[arg(long, value_name = "DATE")]
        secret_expires_before: Option<Before>,
        /// Only those that neither authenticated nor got a token since then: a date, or how long ago, like 90d
        #[arg(long, value_name = "DATE")]
        unused_since: Option<Past>,
        /// The order, descending with a - before it [default: -created_at]
        #[arg(long, value_name = "MEMBER", allow_hyphen_values = true)]
        sort: Option<Sort>,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create an API client with a first secret
    #[command(after_help = "Example:\n  mintmark clients create acme-in --label 'SAP test' --products gst")]
    Create {
        /// The workspace it belongs to
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Show an API client with its live secrets
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark clients show CLIENT_ID")]
    Show {
        /// The API client
        client_id: String,
    },
    /// Change the given values of an API client; an empty text ('') resets a value to its default
    #[command(
        after_help = "Example:\n  mintmark clients update CLIENT_ID --metadata owner=finance --expires-at never"
    )]
    Update {
        /// The API client
        client_id: String,
        #[command(flatten)]
        change: Change,
    },
    UpdateMany(Many),
    /// Enable an API client again
    #[command(after_help = "Example:\n  mintmark clients enable CLIENT_ID")]
    Enable {
        /// The API client
        client_id: String,
    },
    /// Refuse an API client and suspend its tokens until it is enabled
    #[command(after_help = "Example:\n  mintmark clients disable CLIENT_ID")]
    Disable {
        /// The API client
        client_id: String,
    },
    /// Delete an API client with its secrets, and revoke its tokens
    #[command(after_help = "Example:\n  mintmark clients delete CLIENT_ID")]
    Delete {
        /// The API client
        client_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Add a secret; an API client may have up to five
    #[command(after_help = "Example:\n  mintmark clients add-secret CLIENT_ID --expire-others-after 1d")]
    AddSecret {
        /// The API client
        client_id: String,
        /// When the new secret expires: a date like 2027-01-31 (00:00 UTC), an instant, or a duration from now
        /// [default: never]
        #[arg(long, value_name = "DATE", allow_negative_numbers = true)]
        expires_at: Option<End>,
        /// Expire every other secret after this time: seconds, or a duration like 1d; 0 for at once [default: leave them]
        #[arg(
            long,
            alias = "expire-others-after-seconds",
            value_name = "DURATION",
            allow_negative_numbers = true
        )]
        expire_others_after: Option<Duration>,
        /// Revoke all of its tokens too, as after a leak
        #[arg(long)]
        revoke_tokens: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Delete a secret
    #[command(after_help = "Example:\n  mintmark clients delete-secret CLIENT_ID SECRET_ID --force")]
    DeleteSecret {
        /// The API client
        client_id: String,
        /// The secret, as `mintmark clients show` names it
        secret_id: String,
        /// Delete it even if it is the last secret
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show how often an API client got a token and was refused, day by day, and where it was seen from
    #[command(after_help = "Example:\n  mintmark clients usage CLIENT_ID --since 90d")]
    Usage(usage::OfDays),
    /// Show why recent requests of an API client, or of all, were refused, and what to do
    #[command(
        after_help = "Examples:\n  mintmark clients failures CLIENT_ID\n  mintmark clients failures --limit 20"
    )]
    Failures(usage::Failures),
}

impl Clients {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        Target::with(global, &connection, async |target| act(verb, target, format).await).await
    }
}

async fn act(verb: Verb, target: &Target<'_>, format: Format) -> Result<(), Failure> {
    let set_status = async |client_id: String, status: &str| {
        update(target, format, client_id, json!({ "status": status })).await
    };
    match verb {
        Verb::List {
            workspace_id,
            label,
            product,
            status,
            metadata,
            secret_expires_before,
            unused_since,
            sort,
            how_many,
        } => {
            let columns = if workspace_id.is_some() { COLUMNS } else { COLUMNS_OF_ALL };
            let list = List::Clients(ClientList {
                workspace_id,
                label,
                product,
                status,
                metadata: metadata.into_iter().map(|Pair(key, value)| (key, value)).collect(),
                secret_expires_before: secret_expires_before.map(|Before(at)| at),
                unused_since: unused_since.map(|Past(at)| at),
                sort,
            });
            target.print(&list, how_many, format, columns).await
        }
        Verb::Create { workspace_id, change } => {
            let body = change.into_body();
            let made = target.ask(UseCase::Client(OnClient::Create { workspace_id, body })).await?;
            let (first, rest) = MEMBERS.split_at(1);
            format.record(&made, &[first, &["client_secret"], rest].concat())?;
            eprintln!("{SHOWN_ONCE}");
            Ok(())
        }
        Verb::Show { client_id } => show(target, format, client_id).await,
        Verb::Update { client_id, change } => update(target, format, client_id, change.into_body()).await,
        Verb::UpdateMany(many) => many.run(target, format).await,
        Verb::Enable { client_id } => set_status(client_id, "active").await,
        Verb::Disable { client_id } => set_status(client_id, "disabled").await,
        Verb::Delete { client_id, confirm } => {
            let which = named(target, confirm, &client_id).await?;
            confirm.ask(format_args!("Delete {which} with its secrets, and revoke all of its tokens"))?;
            target.ask(UseCase::Client(OnClient::Delete(client_id.clone()))).await?;
            let document = json!({ "client_id": client_id, "deleted": true });
            format.done(&document, format_args!("API client {client_id} deleted"))
        }
        Verb::AddSecret { client_id, expires_at, expire_others_after, revoke_tokens, confirm } => {
            if revoke_tokens {
                let which = named(target, confirm, &client_id).await?;
                confirm.ask(format_args!("Revoke all tokens of {which}"))?;
            }
            let body = Members::default()
                .with("expires_at", expires_at)
                .with("expire_others_after_seconds", expire_others_after)
                .with("revoke_tokens", Some(revoke_tokens))
                .into_body();
            let made = target.ask(UseCase::Client(OnClient::AddSecret(client_id, body))).await?;
            format.record(&made, &["client_secret", "secret_id", "created_at", "expires_at"])?;
            eprintln!("{SHOWN_ONCE}");
            Ok(())
        }
        Verb::DeleteSecret { client_id, secret_id, force, confirm } => {
            let which = named(target, confirm, &client_id).await?;
            confirm.ask(format_args!("Delete the secret {secret_id} of {which}"))?;
            let document = json!({ "client_id": client_id, "secret_id": secret_id, "deleted": true });
            let sentence = format!("client secret {secret_id} deleted");
            target.ask(UseCase::Client(OnClient::DeleteSecret { client_id, secret_id, force })).await?;
            format.done(&document, sentence)
        }
        Verb::Usage(of) => usage::usage(target, format, of).await,
        Verb::Failures(of) => usage::failures(target, format, of).await,
    }
}

async fn show(target: &Target<'_>, format: Format, client_id: String) -> Result<(), Failure> {
    let record = target.ask(UseCase::Client(OnClient::Show(client_id))).await?;
    format.record(&record, MEMBERS)?;
    if !format.json {
        line("")?;
        let secrets = record.get("secrets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Listing::new(format, SECRET_COLUMNS).page(secrets)?;
    }
    Ok(())
}

async fn update(target: &Target<'_>, format: Format, client_id: String, body: Value) -> Result<(), Failure> {
    let changed = target.ask(UseCase::Client(OnClient::Change(client_id, body))).await?;
    let more: &[&str] = if changed.get("revoked_tokens").is_some() { &["revoked_tokens"] } else { &[] };
    format.record(&changed, &[MEMBERS, more].concat())
}

/// How a confirmation names an API client: by its label and workspace. If no question is asked, this is only the id, so that
/// the client need not be read.
pub(super) async fn named(target: &Target<'_>, confirm: Confirm, client_id: &str) -> Result<String, Failure> {
    if !confirm.asks() {
        return Ok(client_id.to_owned());
    }
    let record = target.ask(UseCase::Client(OnClient::Show(client_id.to_owned()))).await?;
    let member = |name| record.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(format!("the API client \"{}\" of the workspace {}", member("label"), member("workspace_id")))
}
