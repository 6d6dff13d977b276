//! `mintmark serve`: the service, until it is told to stop.

use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::opened::{key_created, start_serving_log};
use super::{Failure, Global};
use crate::app::{App, Listeners};
use crate::config::{self, Settings};
use crate::model::clock::SystemClock;
use crate::vault::master::Origin;

/// Serve until SIGTERM or Ctrl-C.
///
/// A stop is graceful: requests in flight are finished, for up to `server.shutdown_timeout_seconds`. A second signal
/// ends the process at once. With port 0 in `server.listen` the system chooses a port; the start line of the log names
/// it, and the issuer follows from it unless `server.public_url` is set.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark serve
  MINTMARK__DATABASE__URL=postgres://tokens@db/tokens mintmark --config prod.toml serve")]
pub(super) struct Serve {}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let (settings, listeners) = bind(global)?;
        let _log = start_serving_log(&settings.log);
        let signals = Signals::listen()?;
        let app = App::build(settings.clone(), Arc::new(SystemClock)).await?;
        announce(&settings, &listeners, &app).await?;
        signals.serve(app, listeners, std::future::pending()).await
    }
}

/// Reads the settings and binds what they name. A port that the system chose is one of the settings from then on.
pub(super) fn bind(global: &Global) -> Result<(Settings, Listeners), Failure> {
    let config = global.config.as_deref();
    if let Some(address) = config::open_port(config, config::environment()) {
        let public = Listeners::bind_public(address)?;
        let chosen = ("MINTMARK__SERVER__LISTEN".to_owned(), public.local_addr()?.to_string());
        let settings = Settings::load(config, config::environment().chain([chosen]))?;
        return Ok((settings.clone(), Listeners::with_public(public, &settings)?));
    }
    let settings = global.settings()?;
    let listeners = Listeners::bind(&settings)?;
    Ok((settings, listeners))
}

/// Says in one line what is served where, and what an operator should know at the start.
async fn announce(settings: &Settings, listeners: &Listeners, app: &App) -> Result<(), Failure> {
    let listen = listeners.public.local_addr()?;
    let management = listeners.management.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
    let master_key = match &app.core().master_key_origin {
        Origin::Settings => "keys.master_key".to_owned(),
        Origin::File(path) => path.display().to_string(),
        Origin::Created(path) => {
            tracing::warn!("{}", key_created(path));
            path.display().to_string()
        }
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        issuer = %settings.server.public_url,
        %listen,
        management_listen = management.map(tracing::field::display),
        tls = settings.server.tls.is_some(),
        engine = settings.database.engine(),
        master_key,
        "serving"
    );
    if app.core().services.tenants.first_manager().await?.is_none() {
        tracing::info!("no API client may manage this service yet: make the first with `mintmark bootstrap`");
    }
    Ok(())
}

/// SIGTERM and SIGINT, kept from ending the process from now on.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| Failure::Fault(format!("cannot listen for signals: {error}")))
        };
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Serves until the first signal or until `meanwhile` has had enough, then until all requests in flight are done
    /// or another signal comes.
    pub(super) async fn serve(
        mut self,
        app: App,
        listeners: Listeners,
        meanwhile: impl Future<Output = Result<Next, Failure>>,
    ) -> Result<(), Failure> {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = app.run(listeners, async {
            // An error means that the other end was dropped, which is the signal.
            let _ = stopped.await;
        });
        let enough = async {
            match meanwhile.await {
                Ok(Next::Serve) => std::future::pending().await,
                Ok(Next::Stop) => Ok(()),
                Err(failure) => Err(failure),
            }
        };
        tokio::pin!(serving);
        let outcome = tokio::select! {
            ended = &mut serving => return Ok(ended?),
            outcome = enough => outcome,
            name = self.next() => {
                tracing::info!("{name}: finishing requests in flight");
                Ok(())
            }
        };
        drop(stop);
        tokio::select! {
            ended = &mut serving => {
                ended?;
                tracing::info!("stopped");
                outcome
            }
            name = self.next() => Err(Failure::Fault(format!("{name}: stopped at once, without waiting for requests in flight"))),
        }
    }
}

/// What follows what was done while serving.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// Serve on.
    Serve,
    /// Stop, gracefully.
    Stop,
}
