//! `mintmark products`: what API clients can be granted.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::output::Format;
use super::target::{Connection, HowMany, List, OnRecord, Target, UseCase};
use super::values::{Duration, Members, OptionValue};
use super::{Failure, Global};

const COLUMNS: &[&str] =
    &["product", "name", "audience", "max_token_lifetime_seconds", "never_expires_allowed"];
const MEMBERS: &[&str] = &[
    "product",
    "name",
    "description",
    "audience",
    "max_token_lifetime_seconds",
    "never_expires_allowed",
    "created_at",
    "updated_at",
];

/// List, create, show, change and delete products: what a token gives access to
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark products create gst --name 'GST returns'
  mintmark products create vat --name VAT --audience https://vat.example.com
  mintmark products update gst --never-expires-allowed false
  mintmark products update gst --max-token-lifetime ''"
)]
pub(super) struct Products {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List all products
    #[command(after_help = "Example:\n  mintmark products list --json")]
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create a product; its code is also the scope that clients request
    #[command(
        after_help = "Example:\n  mintmark products create gst --name GST --never-expires-allowed false"
    )]
    Create {
        /// The product code: 1 to 64 characters of a-z, 0-9 and . _ : -
        product: String,
        #[command(flatten)]
        change: Change,
    },
    /// Show a product
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark products show gst")]
    Show {
        /// The product code
        product: String,
    },
    /// Change the given values of a product; an empty text ('') resets a value to its default
    #[command(after_help = "Example:\n  mintmark products update gst --audience '' --max-token-lifetime 1h")]
    Update {
        /// The product code
        product: String,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a product that is not granted to any API client
    #[command(after_help = "Example:\n  mintmark products delete gst")]
    Delete {
        /// The product code
        product: String,
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
    /// The `aud` of its tokens, an absolute URI [default: tokens.default_audience]
    #[arg(long, value_name = "URI")]
    audience: Option<OptionValue<String>>,
    /// The longest lifetime of a token that includes it: seconds, or a duration like 1h or 30d [default: no limit]
    #[arg(
        long,
        alias = "max-token-lifetime-seconds",
        value_name = "DURATION",
        allow_negative_numbers = true
    )]
    max_token_lifetime: Option<OptionValue<Duration>>,
    /// Whether tokens that never expire may include it [default: true]
    #[arg(long, value_name = "true|false")]
    never_expires_allowed: Option<OptionValue<bool>>,
}

impl Change {
    /// The members of the request that these options set.
    fn into_members(self) -> Members {
        Members::default()
            .with("name", self.name)
            .with("description", self.description)
            .with("audience", self.audience)
            .with("max_token_lifetime_seconds", self.max_token_lifetime)
            .with("never_expires_allowed", self.never_expires_allowed)
    }
}

impl Products {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        Target::with(global, &connection, async |target| act(verb, target, format).await).await
    }
}

async fn act(verb: Verb, target: &Target<'_>, format: Format) -> Result<(), Failure> {
    let ask = async |on| target.ask(UseCase::Product(on)).await;
    let record = |record: Value| format.record(&record, MEMBERS);
    match verb {
        Verb::List { how_many } => target.print(&List::Products, how_many, format, COLUMNS).await,
        Verb::Create { product, change } => {
            let body = change.into_members().with("product", Some(product)).into_body();
            record(ask(OnRecord::Create(body)).await?)
        }
        Verb::Show { product } => record(ask(OnRecord::Show(product)).await?),
        Verb::Update { product, change } => {
            record(ask(OnRecord::Change(product, change.into_members().into_body())).await?)
        }
        Verb::Delete { product, confirm } => {
            confirm.ask(format_args!("Delete the product {product}"))?;
            ask(OnRecord::Delete(product.clone())).await?;
            let document = json!({ "product": product, "deleted": true });
            format.done(&document, format_args!("product {product} deleted"))
        }
    }
}
