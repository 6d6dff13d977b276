//! `mintmark clients`: the API clients of a workspace and their secrets. A secret is printed once, when it is created.

use clap::{Args, Subcommand};
use serde_json::json;

use super::opened::{Opened, all_pages};
use super::output::Format;
use super::values::{Expiry, OptionValue, Pair, member, members, metadata};
use super::{Failure, Global};
use crate::clients::{ClientChange, ClientFilter, ClientSort, NewSecret};
use crate::kernel::{Manager, Precondition, to_json};
use crate::model::member::Member;
use crate::services::Services;

const COLUMNS: &[&str] = &["client_id", "label", "status", "products", "permissions", "token_expiry"];
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
const SECRET_COLUMNS: &[&str] = &["secret_id", "last_four", "created_at", "expires_at", "last_used_at"];
const SHOWN_ONCE: &str = "\nKeep the secret: it is not shown again.";

/// List, create, show, update, enable, disable and delete API clients, and add and delete their secrets.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark clients create acme-in --label 'SAP production' --products e-invoicing,gst --token-expiry never
  mintmark clients update CLIENT_ID --allowed-ips 203.0.113.0/24 --metadata owner=finance
  mintmark clients update CLIENT_ID --allowed-ips ''
  mintmark clients add-secret CLIENT_ID --expire-others-after-seconds 86400
  mintmark clients add-secret CLIENT_ID --expire-others-after-seconds 0 --revoke-tokens
  mintmark clients update CLIENT_ID --active-tokens replace --replace-grace-seconds 60
  mintmark clients disable CLIENT_ID
  mintmark clients list platform --json")]
pub(super) struct Clients {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The API clients of a workspace, newest first
    #[command(after_help = "Example:\n  mintmark clients list acme-in --product gst --status active")]
    List {
        /// The workspace
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        /// Only those whose label contains this
        #[arg(long)]
        label: Option<String>,
        /// Only those that are granted this product
        #[arg(long)]
        product: Option<String>,
        /// Only those that are active, or disabled
        #[arg(long, value_parser = ["active", "disabled"])]
        status: Option<String>,
    },
    /// Create an API client with a first secret
    #[command(
        after_help = "Example:\n  mintmark clients create acme-in --label 'SAP production' --products e-invoicing,gst --token-expiry never"
    )]
    Create {
        /// The workspace it belongs to
        #[arg(allow_hyphen_values = true)]
        workspace_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// One API client with its live secrets
    #[command(after_help = "Example:\n  mintmark clients show CLIENT_ID")]
    Show {
        /// The API client
        client_id: String,
    },
    /// Change the members given; an empty text ('') resets a member to its default
    #[command(
        after_help = "Example:\n  mintmark clients update CLIENT_ID --allowed-ips 203.0.113.0/24 --metadata owner=finance --expires-at ''"
    )]
    Update {
        /// The API client
        client_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Enable it again
    #[command(after_help = "Example:\n  mintmark clients enable CLIENT_ID")]
    Enable {
        /// The API client
        client_id: String,
    },
    /// Refuse it until it is enabled
    #[command(after_help = "Example:\n  mintmark clients disable CLIENT_ID")]
    Disable {
        /// The API client
        client_id: String,
    },
    /// Delete it with its secrets, and revoke its tokens
    #[command(after_help = "Example:\n  mintmark clients delete CLIENT_ID")]
    Delete {
        /// The API client
        client_id: String,
    },
    /// Add a secret; it may have up to five
    #[command(
        after_help = "Example:\n  mintmark clients add-secret CLIENT_ID --expire-others-after-seconds 86400"
    )]
    AddSecret {
        /// The API client
        client_id: String,
        /// When the new secret expires, like 2027-01-31T00:00:00Z [default: never]
        #[arg(long, value_name = "INSTANT")]
        expires_at: Option<String>,
        /// Expire every other secret in this many seconds; 0 for at once [default: leave them]
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        expire_others_after_seconds: Option<i64>,
        /// Revoke all of its tokens too, as after a leak
        #[arg(long)]
        revoke_tokens: bool,
    },
    /// Delete one of its secrets
    #[command(after_help = "Example:\n  mintmark clients delete-secret CLIENT_ID SECRET_ID --force")]
    DeleteSecret {
        /// The API client
        client_id: String,
        /// The secret, as `mintmark clients show` names it
        secret_id: String,
        /// Even if it is the last one
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
struct Change {
    /// Its display name
    #[arg(long)]
    label: Option<OptionValue<String>>,
    /// Free text about it; '' for none
    #[arg(long, value_name = "TEXT")]
    description: Option<OptionValue<String>>,
    /// The products it is granted; '' for none
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    products: Option<Vec<String>>,
    /// Its permissions on Mintmark itself: mintmark:manage, mintmark:read, mintmark:introspect; '' for none
    #[arg(long, value_name = "PERMISSIONS", value_delimiter = ',')]
    permissions: Option<Vec<String>>,
    /// How long its tokens are valid: seconds, or never [default: tokens.default_lifetime_seconds]
    #[arg(long, value_name = "SECONDS|never", allow_negative_numbers = true)]
    token_expiry: Option<OptionValue<Expiry>>,
    /// Contacts that get a mail when it changes; '' for none
    #[arg(long, value_name = "EMAILS", value_delimiter = ',')]
    notification_emails: Option<Vec<String>>,
    /// Addresses and networks it may authenticate from; '' for any
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    allowed_ips: Option<Vec<String>>,
    /// How many of its tokens are valid at a time: many, or replace for one [default: many]
    #[arg(long, value_name = "many|replace")]
    active_tokens: Option<OptionValue<String>>,
    /// How long a replaced token stays valid [default: 0]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    replace_grace_seconds: Option<OptionValue<i64>>,
    /// The algorithm that signs its tokens: ES256, EdDSA, RS256 or PS256 [default: tokens.signing_alg]
    #[arg(long, value_name = "ALG")]
    signing_alg: Option<OptionValue<String>>,
    /// When it expires, like 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_name = "INSTANT")]
    expires_at: Option<OptionValue<String>>,
    /// A pair of metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<Pair>,
    /// Remove a pair of metadata; may be repeated
    #[arg(long, value_name = "KEY")]
    remove_metadata: Vec<String>,
}

impl From<Change> for ClientChange {
    fn from(change: Change) -> Self {
        Self {
            label: member(change.label),
            description: member(change.description),
            products: members(change.products),
            permissions: members(change.permissions),
            token_expiry: match member(change.token_expiry) {
                Member::Absent => Member::Absent,
                Member::Null => Member::Null,
                Member::Value(Expiry(expiry)) => Member::Value(expiry),
            },
            notification_emails: members(change.notification_emails),
            allowed_ips: members(change.allowed_ips),
            active_tokens: member(change.active_tokens),
            replace_grace_seconds: member(change.replace_grace_seconds),
            signing_alg: member(change.signing_alg),
            expires_at: member(change.expires_at),
            metadata: metadata(change.metadata, change.remove_metadata),
            ..Self::default()
        }
    }
}

fn status(status: &str) -> ClientChange {
    ClientChange { status: Member::Value(status.to_owned()), ..ClientChange::default() }
}

impl Clients {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        Opened::with(global, async |opened| self.act(opened).await).await
    }

    async fn act(self, opened: &Opened) -> Result<(), Failure> {
        let at = At { services: &opened.core.services, caller: Manager::command_line(), format: self.format };
        match self.verb {
            Verb::List { workspace_id, label, product, status } => {
                at.list(&workspace_id, &ClientFilter { label, product, status, ..ClientFilter::default() })
                    .await?;
            }
            Verb::Create { workspace_id, change } => at.create(&workspace_id, &change.into()).await?,
            Verb::Show { client_id } => at.show(&client_id).await?,
            Verb::Update { client_id, change } => at.update(&client_id, &change.into()).await?,
            Verb::Enable { client_id } => at.update(&client_id, &status("active")).await?,
            Verb::Disable { client_id } => at.update(&client_id, &status("disabled")).await?,
            Verb::Delete { client_id } => at.delete(&client_id).await?,
            Verb::AddSecret { client_id, expires_at, expire_others_after_seconds, revoke_tokens } => {
                let wanted = NewSecret {
                    expires_at,
                    expire_others_after_seconds,
                    revoke_tokens: Some(revoke_tokens),
                    ..NewSecret::default()
                };
                at.add_secret(&client_id, &wanted).await?;
            }
            Verb::DeleteSecret { client_id, secret_id, force } => {
                at.delete_secret(&client_id, &secret_id, force).await?;
            }
        }
        Ok(())
    }
}

/// What every command works with.
struct At<'a> {
    services: &'a Services,
    caller: Manager,
    format: Format,
}

impl At<'_> {
    async fn list(&self, workspace_id: &str, filter: &ClientFilter) -> Result<(), Failure> {
        let read = async |page| {
            self.services
                .clients
                .clients(&self.caller, Some(workspace_id), filter, ClientSort::default(), &page)
                .await
        };
        let records: Vec<_> = all_pages(read).await?.iter().map(to_json).collect();
        self.format.list(&records, COLUMNS)
    }

    async fn create(&self, workspace_id: &str, wanted: &ClientChange) -> Result<(), Failure> {
        let created = self.services.clients.create_client(&self.caller, workspace_id, wanted, None).await?;
        let (first, rest) = MEMBERS.split_at(1);
        self.format.record(&to_json(&created), &[first, &["client_secret"], rest].concat())?;
        eprintln!("{SHOWN_ONCE}");
        Ok(())
    }

    async fn show(&self, client_id: &str) -> Result<(), Failure> {
        let record = self.services.clients.client(&self.caller, client_id).await?;
        self.format.record(&to_json(&record), MEMBERS)?;
        if !self.format.json {
            super::output::line("")?;
            let secrets: Vec<_> = record.secrets.iter().map(to_json).collect();
            self.format.list(&secrets, SECRET_COLUMNS)?;
        }
        Ok(())
    }

    async fn update(&self, client_id: &str, change: &ClientChange) -> Result<(), Failure> {
        let none = Precondition::None;
        let changed = self.services.clients.change_client(&self.caller, client_id, &none, change).await?;
        let more: &[&str] = if changed.revoked_tokens.is_some() { &["revoked_tokens"] } else { &[] };
        self.format.record(&to_json(&changed), &[MEMBERS, more].concat())
    }

    async fn delete(&self, client_id: &str) -> Result<(), Failure> {
        self.services.clients.delete_client(&self.caller, client_id, &Precondition::None).await?;
        let document = json!({ "client_id": client_id, "deleted": true });
        self.format.done(&document, format_args!("API client {client_id} deleted"))
    }

    async fn add_secret(&self, client_id: &str, wanted: &NewSecret) -> Result<(), Failure> {
        let created = self.services.clients.add_secret(&self.caller, client_id, wanted, None).await?;
        self.format
            .record(&to_json(&created), &["client_secret", "secret_id", "created_at", "expires_at"])?;
        eprintln!("{SHOWN_ONCE}");
        Ok(())
    }

    async fn delete_secret(&self, client_id: &str, secret_id: &str, force: bool) -> Result<(), Failure> {
        self.services.clients.delete_secret(&self.caller, client_id, secret_id, force).await?;
        let document = json!({ "client_id": client_id, "secret_id": secret_id, "deleted": true });
        self.format.done(&document, format_args!("client secret {secret_id} deleted"))
    }
}
