//! `mintmark clients update-many`: one change of many API clients.

use clap::Args;
use serde_json::{Value, json};

use super::change::Change;
use crate::cli::Failure;
use crate::cli::output::{Format, Listing, line};
use crate::cli::target::{OnClient, Target, UseCase};
use crate::cli::values::{Before, End, Members, Pair, Past};

const COLUMNS: &[&str] = &["client_id", "revoked_tokens"];

/// Change the same members of up to 200 API clients: all of them, or none if one would break a rule
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark clients update-many CLIENT_ID CLIENT_ID --token-expiry 1h
  mintmark clients update-many --where-label Trial --status disabled --dry-run
  mintmark clients update-many --where-unused-since 180d --status disabled")]
pub(super) struct Many {
    /// The API clients; or choose them with the --where-… options
    #[arg(value_name = "CLIENT_ID", conflicts_with = "where", required_unless_present = "where")]
    client_ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Enable or disable them
    #[arg(long, value_parser = ["active", "disabled"])]
    status: Option<String>,
    #[command(flatten)]
    change: Change,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Chooses the API clients that match all of these options. `clients list` has the same options without `where-`.
#[derive(Debug, Args)]
#[group(id = "where", multiple = true)]
struct Filter {
    /// Those whose label contains this
    #[arg(id = "where-label", long = "where-label", value_name = "TEXT")]
    label: Option<String>,
    /// Those that are granted this product
    #[arg(id = "where-product", long = "where-product", value_name = "PRODUCT")]
    product: Option<String>,
    /// Those with this status
    #[arg(id = "where-status", long = "where-status", value_parser = ["active", "disabled"])]
    status: Option<String>,
    /// Those that have this pair in their metadata; may be repeated
    #[arg(id = "where-metadata", long = "where-metadata", value_name = "KEY=VALUE")]
    metadata: Vec<Pair>,
    /// Those with a secret that expires before then: a date, or a duration from now like 30d
    #[arg(id = "where-secret-expires-before", long = "where-secret-expires-before", value_name = "DATE")]
    secret_expires_before: Option<Before>,
    /// Those that neither authenticated nor got a token since then: a date, or how long ago, like 90d
    #[arg(id = "where-unused-since", long = "where-unused-since", value_name = "DATE")]
    unused_since: Option<Past>,
}

impl Filter {
    fn into_body(self) -> Value {
        Members::default()
            .with("label", self.label)
            .with("product", self.product)
            .with("status", self.status)
            .with_pairs("metadata", self.metadata, Vec::new())
            .with("secret_expires_before", self.secret_expires_before)
            .with("unused_since", self.unused_since.map(|Past(at)| End(Some(at))))
            .into_body()
    }
}

impl Many {
    pub(super) async fn run(self, target: &Target<'_>, format: Format) -> Result<(), Failure> {
        let mut patch = self.change.into_body();
        if let (Some(status), Some(members)) = (self.status, patch.as_object_mut()) {
            members.insert("status".to_owned(), status.into());
        }
        let body = if self.client_ids.is_empty() {
            json!({ "filter": self.filter.into_body(), "patch": patch, "dry_run": self.dry_run })
        } else {
            json!({ "ids": self.client_ids, "patch": patch, "dry_run": self.dry_run })
        };
        let mut report = target.ask(UseCase::Client(OnClient::ChangeMany(body))).await?;
        let items = report.get_mut("items").and_then(Value::as_array_mut);
        for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
            // For the next request of the management API; commands have no use for it.
            item.remove("etag");
        }
        let number = |name| report.get(name).and_then(Value::as_u64).unwrap_or_default();
        let would = if self.dry_run { "would be " } else { "" };
        let sentence = format!("{} of {} API clients {would}changed", number("changed"), number("matched"));
        if !format.json {
            let items = report.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Listing::new(format, COLUMNS).page(items)?;
            line("")?;
        }
        format.done(&report, sentence)
    }
}
