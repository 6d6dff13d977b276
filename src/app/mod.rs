//! Puts everything together: [`Core`] opens database, keys and services for all doors (the protocol, the management API, the
//! console, the command line); [`App`] adds what the doors on HTTP need.
//!
//! The caller binds the listeners and decides when to stop, so `serve`, `quickstart` and tests run the same code.

mod core;
mod gauges;
mod inspect;
mod listeners;
mod maintenance;
mod open_files;
mod readiness;
mod root_key;
mod server;
mod start_error;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};

use crate::config::Settings;
use crate::console;
use crate::delivery::{Smtp, Worker};
use crate::manage::idempotency::Running;
use crate::model::clock::Clock;
use crate::oauth;
use crate::outbound::{Resolver, SystemResolver};
use crate::routes::{self, Doors};
use crate::telemetry::health::Readiness;
use crate::telemetry::http::Telemetry;
use crate::telemetry::metrics::Metrics;
use crate::tls::Certificate;

pub use core::Core;
pub use inspect::{Finding, inspect, inspect_smtp};
pub use listeners::Listeners;
pub use maintenance::{BackedUp, BackupKey, back_up, discard_staged, migrate, put_in_place, rewrap, stage};
pub use open_files::inspect_open_files;
pub use server::Ending;
pub use start_error::StartError;

/// The HTTP service: the core and what the doors share between requests.
#[derive(Debug, Clone)]
pub struct App {
    core: Core,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    oauth: Arc<oauth::Door>,
    console: Arc<console::Door>,
    providers: Arc<console::Providers>,
    worker: Arc<Worker>,
    running: Arc<Running>,
    certificate: Option<Arc<Certificate>>,
}

impl App {
    /// Opens the core and prepares what the doors need. Nothing is served yet.
    ///
    /// # Errors
    /// [`StartError::Tls`], [`StartError::Smtp`]; see also [`Core::open`].
    pub async fn build(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::build_with(settings, clock, Arc::new(SystemResolver)).await
    }

    /// As [`App::build`], but `resolver` finds the IP addresses of other hosts.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_with(
        settings: Settings,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, StartError> {
        let certificate = settings.server.tls.as_ref().map(Certificate::read).transpose();
        let certificate = certificate.map_err(StartError::Tls)?.map(Arc::new);
        let core = Core::open_with(&settings, clock, resolver).await?;
        let metrics = Arc::new(Metrics::new());
        gauges::register(&metrics, &core.services);
        let services = Arc::clone(&core.services);
        let readiness = Readiness::new(move || readiness::checks(&services));
        let smtp = Smtp::new(settings.smtp.as_ref(), &settings.server.public_url)?;
        Ok(Self {
            worker: Arc::new(core.services.worker(smtp)?),
            oauth: Arc::new(oauth::Door::new(Arc::clone(&core.services), Arc::clone(&metrics), &settings)),
            providers: Arc::new(console::Providers::new(Arc::clone(&core.outbound), &settings.console.oidc)),
            console: Arc::new(console::Door::new(Arc::clone(&core.services), core.random.clone(), &settings)),
            core,
            settings: Arc::new(settings),
            metrics,
            readiness: Arc::new(readiness),
            running: Arc::default(),
            certificate,
        })
    }

    /// How long requests are still accepted after a signal to stop (`server.drain_seconds`).
    pub fn drain(&self) -> Duration {
        self.settings.server.drain
    }

    /// Reads the TLS certificate again, if there is one, and logs the result.
    pub fn reload_certificate(&self) {
        if let Some(certificate) = &self.certificate {
            certificate.reload();
        } else {
            tracing::info!("there is no TLS certificate to read again: server.tls is not set");
        }
    }

    /// The core, for callers that also use the services directly (`quickstart`, tests).
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// What sends mails and webhooks, for tests.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// The metrics, for tests.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The middleware that gives every request an id, a log line and metrics.
    ///
    /// # Errors
    /// [`StartError::Random`].
    pub fn telemetry(&self) -> Result<Telemetry, StartError> {
        let proxies = self.settings.server.trusted_proxies.clone();
        Ok(Telemetry::new(Arc::clone(&self.metrics), proxies, self.core.random.fill()?))
    }

    /// Adds the routes of `doors` and the data that their handlers extract; benches use it without sockets.
    pub fn configure(&self, config: &mut ServiceConfig, doors: Doors) {
        config
            .app_data(Data::from(Arc::clone(&self.core.services)))
            .app_data(Data::from(Arc::clone(&self.metrics)))
            .app_data(Data::from(Arc::clone(&self.readiness)))
            .app_data(Data::from(Arc::clone(&self.oauth)))
            .app_data(Data::from(Arc::clone(&self.console)))
            .app_data(Data::from(Arc::clone(&self.providers)))
            .app_data(Data::from(Arc::clone(&self.running)))
            .app_data(Data::from(Arc::clone(&self.settings)));
        routes::configure(config, doors, self.settings.server.public_url.path());
    }
}
