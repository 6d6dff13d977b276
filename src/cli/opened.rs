//! The opened service, for commands that work on the database without serving.

use std::sync::Arc;

use super::{Failure, Global};
use crate::app::Core;
use crate::config::{LogLevel, LogSettings, Settings, Source};
use crate::kernel;
use crate::model::clock::SystemClock;
use crate::model::page::{Items, Page};
use crate::telemetry::logs::{self, LogGuard};
use crate::vault::master::Origin;

/// Settings and core of one command.
pub(super) struct Opened {
    pub(super) settings: Settings,
    pub(super) core: Core,
}

impl Opened {
    /// Reads the settings, opens the database, acts, and closes it whatever came of that, so that all that is written
    /// is in the database file.
    pub(super) async fn with<T>(
        global: &Global,
        act: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        Self::with_settings(global.settings()?, act).await
    }

    /// The same with settings that were read before.
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

/// Starts the log with warnings only, unless the operator chose a level: a command's results are what it is run for.
pub(super) fn quiet_log(settings: &Settings) {
    let mut log = settings.log.clone();
    let chosen =
        settings.effective().iter().any(|set| set.key == "log.level" && set.source != Source::Default);
    if !chosen && let Ok(level) = "warn".parse::<LogLevel>() {
        log.level = level;
    }
    start_log(&log);
}

/// Starts the log of a command.
fn start_log(settings: &LogSettings) {
    if let Err(error) = logs::init(settings) {
        eprintln!("mintmark: the log cannot be started: {error}");
    }
}

/// Starts the log of a serving process. What is logged has been written when the guard is dropped.
pub(super) fn start_serving_log(settings: &LogSettings) -> Option<LogGuard> {
    let guard = logs::init_for_serving(settings);
    guard.map_err(|error| eprintln!("mintmark: the log cannot be started: {error}")).ok()
}

/// What is said, loudly, about a new master key.
pub(super) fn key_created(path: &std::path::Path) -> String {
    format!(
        "a NEW MASTER KEY was made: {}. Keep a copy of it, apart from backups of the database: without it the \
         database cannot be opened again",
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display()
    )
}

/// Reads a list to its end.
pub(super) async fn all_pages<T>(
    mut read: impl AsyncFnMut(Page) -> Result<Items<T>, kernel::Error>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = read(Page { limit: Page::MAX_LIMIT, after }).await?;
        all.extend(page.items);
        after = page.next_after;
        if after.is_none() {
            return Ok(all);
        }
    }
}
