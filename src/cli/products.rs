//! `mintmark products`: what API clients can be granted.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::opened::{Opened, all_pages};
use super::output::Format;
use super::values::{OptionValue, member};
use super::{Failure, Global};
use crate::kernel::{Manager, Precondition, to_json};
use crate::model::member::Member;
use crate::services::Services;
use crate::tenants::ProductChange;

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

/// List, create, show, update and delete products: what a token gives access to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark products create gst --name 'GST returns'
  mintmark products create e-invoicing --name E-Invoicing --audience https://einvoice.example.com
  mintmark products update gst --max-token-lifetime-seconds 3600 --never-expires-allowed false
  mintmark products update gst --max-token-lifetime-seconds ''")]
pub(super) struct Products {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All products
    #[command(after_help = "Example:\n  mintmark products list --json")]
    List,
    /// Create a product; its code is also the scope that clients ask for
    #[command(
        after_help = "Example:\n  mintmark products create gst --name 'GST returns' --never-expires-allowed false"
    )]
    Create {
        /// 1 to 64 characters of a-z, 0-9 and . _ : -
        product: String,
        #[command(flatten)]
        change: Change,
    },
    /// One product
    #[command(after_help = "Example:\n  mintmark products show gst")]
    Show {
        /// The product code
        product: String,
    },
    /// Change the members given; an empty text ('') resets a member to its default
    #[command(
        after_help = "Example:\n  mintmark products update gst --audience https://gst.example.com --max-token-lifetime-seconds ''"
    )]
    Update {
        /// The product code
        product: String,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a product that no API client is granted
    #[command(after_help = "Example:\n  mintmark products delete gst")]
    Delete {
        /// The product code
        product: String,
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
    /// The longest lifetime of a token that carries it [default: no cap]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    max_token_lifetime_seconds: Option<OptionValue<i64>>,
    /// Whether tokens that never expire may carry it [default: true]
    #[arg(long, value_name = "BOOL")]
    never_expires_allowed: Option<OptionValue<bool>>,
}

impl From<Change> for ProductChange {
    fn from(change: Change) -> Self {
        Self {
            name: member(change.name),
            description: member(change.description),
            audience: member(change.audience),
            max_token_lifetime_seconds: member(change.max_token_lifetime_seconds),
            never_expires_allowed: member(change.never_expires_allowed),
            ..Self::default()
        }
    }
}

impl Products {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        Opened::with(global, async |opened| self.act(opened).await).await
    }

    async fn act(self, opened: &Opened) -> Result<(), Failure> {
        let (services, caller) = (&opened.core.services, Manager::command_line());
        match self.verb {
            Verb::List => self.format.list(&list(services, &caller).await?, COLUMNS)?,
            Verb::Create { product, change } => {
                let code = Member::Value(product);
                let created = services.tenants.create_product(&caller, &code, &change.into(), None).await?;
                self.format.record(&to_json(&created), MEMBERS)?;
            }
            Verb::Show { product } => {
                self.format.record(&to_json(&services.tenants.product(&caller, &product).await?), MEMBERS)?;
            }
            Verb::Update { product, change } => {
                let changed = services
                    .tenants
                    .change_product(&caller, &product, &Precondition::None, &change.into())
                    .await?;
                self.format.record(&to_json(&changed), MEMBERS)?;
            }
            Verb::Delete { product } => {
                services.tenants.delete_product(&caller, &product, &Precondition::None).await?;
                let document = json!({ "product": product, "deleted": true });
                self.format.done(&document, format_args!("product {product} deleted"))?;
            }
        }
        Ok(())
    }
}

async fn list(services: &Services, caller: &Manager) -> Result<Vec<Value>, Failure> {
    let products = all_pages(async |page| services.tenants.products(caller, &page).await).await?;
    Ok(products.iter().map(to_json).collect())
}
