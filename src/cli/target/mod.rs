//! The target of commands on records: the configured database, or a server (`--remote`). The commands are the same for both.

mod local;
mod remote;
mod routes;
mod use_case;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::opened::Opened;
use super::output::{Format, Listing};
use super::{Failure, Global};
use crate::model::page::{Items, Page};
use remote::Remote;

pub(super) use remote::Address;
pub(super) use use_case::{
    AuditList, ClientList, List, OnClient, OnKey, OnOperator, OnRecord, OnToken, OnWebhook, Sort, TokenList,
    TokenStatus, UseCase,
};

/// The target of a command on records.
#[derive(Debug, Clone, Args)]
pub(super) struct Connection {
    /// Work on a running server, over its management API, with the access token in MINTMARK_TOKEN or --token-file
    #[arg(long, global = true, value_name = "URL", help_heading = super::COMMON)]
    remote: Option<String>,
    /// Read the access token for --remote from this file
    #[arg(long, global = true, value_name = "FILE", help_heading = super::COMMON)]
    token_file: Option<PathBuf>,
}

impl Connection {
    /// The server that `--remote` names, if any.
    pub(super) fn address(&self) -> Result<Option<Address>, Failure> {
        self.remote.as_deref().map(Address::parse).transpose()
    }

    /// Refuses `--remote` for a command that needs the database itself.
    pub(super) fn must_be_local(&self, command: &str) -> Result<(), Failure> {
        match self.remote {
            None => Ok(()),
            Some(_) => Err(Failure::Usage(format!(
                "{command} works on the database itself: run it where the server runs, without --remote"
            ))),
        }
    }
}

/// How much of a list is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct HowMany {
    /// Print at most this many [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Print only the number of entries
    #[arg(long, conflicts_with = "limit")]
    count: bool,
}

/// The database or a server.
pub(super) enum Target<'a> {
    Local(&'a Opened),
    Remote(Box<Remote>),
}

impl Target<'_> {
    /// Connects, runs `act`, and closes a database even after an error.
    pub(super) async fn with(
        global: &Global,
        connection: &Connection,
        act: impl AsyncFnOnce(&Target<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(address) = connection.address()? else {
            if connection.token_file.is_some() {
                return Err(Failure::Usage("--token-file can only be used with --remote URL".to_owned()));
            }
            return Opened::with(global, async |opened| act(&Target::Local(opened)).await).await;
        };
        let remote = Remote::new(address, connection.token_file.as_deref())?;
        act(&Target::Remote(Box::new(remote))).await
    }

    /// Runs a use case; the answer is the record, `null` if no record is shown, or how many tokens were revoked.
    pub(super) async fn ask(&self, use_case: UseCase) -> Result<Value, Failure> {
        match self {
            Self::Local(opened) => Ok(local::answer(&opened.core.services, use_case).await?),
            Self::Remote(remote) => remote.answer(use_case).await,
        }
    }

    /// Prints a list page by page, or how many items it has.
    pub(super) async fn print(
        &self,
        list: &List,
        how_many: HowMany,
        format: Format,
        columns: &[&str],
    ) -> Result<(), Failure> {
        if how_many.count {
            let found = self.page(list, Page { count: true, ..Page::first(1) }).await?;
            let total = found.total.ok_or_else(|| {
                Failure::Fault(
                    "the server does not support --count: upgrade it, or leave out --count".to_owned(),
                )
            })?;
            return format.done(&json!({ "total": total }), total);
        }
        let mut listing = Listing::new(format, columns);
        let mut left = how_many.limit.unwrap_or(u32::MAX);
        let mut after = None;
        loop {
            let page = Page { after, ..Page::first(left.min(Page::MAX_LIMIT)) };
            let found = self.page(list, page).await?;
            listing.page(&found.items)?;
            left = left.saturating_sub(u32::try_from(found.items.len()).unwrap_or(u32::MAX));
            after = found.next_after;
            if after.is_none() || left == 0 {
                return listing.end();
            }
        }
    }

    /// The first item of a list.
    pub(super) async fn first(&self, list: &List) -> Result<Option<Value>, Failure> {
        Ok(self.page(list, Page::first(1)).await?.items.into_iter().next())
    }

    async fn page(&self, list: &List, page: Page) -> Result<Items<Value>, Failure> {
        match self {
            Self::Local(opened) => Ok(local::page(&opened.core.services, list, &page).await?),
            Self::Remote(remote) => remote.page(list, page).await,
        }
    }
}
