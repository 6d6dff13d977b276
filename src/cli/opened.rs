//! The opened database and services, for commands that do not serve.

use std::sync::Arc;

use super::{Failure, Global};
use crate::app::Core;
use crate::config::{LogLevel, LogSettings, Settings, Source};
use crate::kernel;
use crate::model::clock::SystemClock;
use crate::model::page::{Items, Page};
use crate::telemetry::logs::{self, LogGuard};
use crate::vault::master::Origin;

pub(super) struct Opened {
    pub(super) settings: Settings,
    pub(super) core: Core,
}

impl Opened {
    /// Reads the settings, opens the database, runs `act`, and closes the database even after an error, so that with SQLite
    /// all changes are in the database file, and none only in its write-ahead log.
    pub(super) async fn with<T>(
        global: &Global,
        act: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        Self::with_settings(global.settings()?, act).await
    }

    /// As [`Opened::with`], with settings that have been read already.
    pub(super) async fn with_settings<T>(
        settings: Settings,
        act: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let opened = Self::open(settings).await?;
        let outcome = act(&opened).await;
        opened.core.services.close().await;
        outcome
    }

    async fn open(settings: Settings) -> Result<Self, Failure> {
        quiet_log(&settings);
        let core = Core::open(&settings, Arc::new(SystemClock)).await?;
        if let Origin::Created(path) = &core.master_key_origin {
            eprintln!("mintmark: {}", key_created(path));
        }
        Ok(Self { settings, core })
    }
}

/// Starts the log with warnings only, unless `log.level` is set: the output of a command is its result.
pub(super) fn quiet_log(settings: &Settings) {
    let mut log = settings.log.clone();
    let chosen =
        settings.effective().iter().any(|set| set.key == "log.level" && set.source != Source::Default);
    if !chosen && let Ok(level) = "warn".parse::<LogLevel>() {
        log.level = level;
    }
    start_log(&log);
}

fn start_log(settings: &LogSettings) {
    if let Err(error) = logs::init(settings) {
        eprintln!("mintmark: the log cannot be started: {error}");
    }
}

/// Starts the log of a server. Dropping the guard writes what is still buffered.
pub(super) fn start_serving_log(settings: &LogSettings) -> Option<LogGuard> {
    let guard = logs::init_for_serving(settings);
    guard.map_err(|error| eprintln!("mintmark: the log cannot be started: {error}")).ok()
}

/// The message about a new master key, partly in capitals, because without the key the database is lost.
pub(super) fn key_created(path: &std::path::Path) -> String {
    format!(
        "NEW MASTER KEY created: {}. Keep a copy of it, apart from backups of the database: without it the database \
         cannot be opened",
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display()
    )
}

/// Reads all pages of a list.
pub(super) async fn all_pages<T>(
    mut read: impl AsyncFnMut(Page) -> Result<Items<T>, kernel::Error>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = read(Page { after, ..Page::first(Page::MAX_LIMIT) }).await?;
        all.extend(page.items);
        after = page.next_after;
        if after.is_none() {
            return Ok(all);
        }
    }
}
