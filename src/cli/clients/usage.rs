//! `mintmark clients usage` and `mintmark clients failures`: what API clients did, and why their requests were refused.

use clap::Args;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::output::{Format, Listing, json, line};
use crate::cli::target::{HowMany, List, OnClient, Target, UseCase};
use crate::cli::values::Past;

const DAY_COLUMNS: &[&str] = &["day", "issued", "refused"];
const NETWORK_COLUMNS: &[&str] = &["network", "last_seen_at"];
const COLUMNS: &[&str] =
    &["at", "endpoint", "reason", "source_ip", "secret_last_four", "request_id", "message"];
/// The columns of the refused requests of all API clients.
const COLUMNS_OF_ALL: &[&str] =
    &["at", "client_id", "endpoint", "reason", "source_ip", "secret_last_four", "request_id", "message"];

#[derive(Debug, Args)]
pub(super) struct OfDays {
    /// The API client
    client_id: String,
    /// The first day: a date like 2026-11-23, an instant, or how long ago, like 90d [default: 30 days up to --until]
    #[arg(long, value_name = "DATE")]
    since: Option<Past>,
    /// The last day, in the same forms [default: today]
    #[arg(long, value_name = "DATE")]
    until: Option<Past>,
}

#[derive(Debug, Args)]
pub(super) struct Failures {
    /// The API client [default: all, including requests that name an unknown client]
    client_id: Option<String>,
    #[command(flatten)]
    how_many: HowMany,
}

pub(super) async fn usage(target: &Target<'_>, format: Format, of: OfDays) -> Result<(), Failure> {
    let OfDays { client_id, since, until } = of;
    let (since, until) = (since.map(|Past(at)| at), until.map(|Past(at)| at));
    let usage = target.ask(UseCase::Client(OnClient::Usage { client_id, since, until })).await?;
    if format.json {
        return Ok(json(&usage)?);
    }
    let list = |name| usage.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Listing::new(format, DAY_COLUMNS).page(list("items"))?;
    line("")?;
    Listing::new(format, NETWORK_COLUMNS).page(list("seen_from"))
}

pub(super) async fn failures(target: &Target<'_>, format: Format, of: Failures) -> Result<(), Failure> {
    let Failures { client_id, how_many } = of;
    let columns = if client_id.is_some() { COLUMNS } else { COLUMNS_OF_ALL };
    target.print(&List::Failures { client_id }, how_many, format, columns).await
}
