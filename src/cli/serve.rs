//! `mintmark serve`: runs the server until a signal stops it.

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

/// Run the server until SIGTERM or Ctrl-C (the default command)
///
/// It stops gracefully: requests in flight are finished, for up to server.shutdown_timeout_seconds. A second signal ends
/// the process at once. With port 0 in server.listen the system chooses the port; the log shows it, and the issuer is
/// derived from it unless server.public_url is set.
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

/// Reads the settings and binds the listeners. A port that the system chose becomes part of the settings.
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

/// Logs in one line what is served where, then a new master key and a missing first API client.
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
        tracing::info!(
            "no API client may manage this service yet: create the first one with `mintmark bootstrap`"
        );
    }
    Ok(())
}

/// SIGTERM and SIGINT, which from now on no longer end the process by themselves.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| Failure::Fault(format!("cannot listen for signals: {error}")))
        };
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Serves until the first signal, or until `task` returns [`Next::Stop`] or an error; then finishes the requests
    /// in flight, unless a second signal comes.
    pub(super) async fn serve(
        mut self,
        app: App,
        listeners: Listeners,
        task: impl Future<Output = Result<Next, Failure>>,
    ) -> Result<(), Failure> {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = app.run(listeners, async {
            // An error means that the other end was dropped, which is the signal.
            let _ = stopped.await;
        });
        let told_to_stop = async {
            match task.await {
                Ok(Next::Serve) => std::future::pending().await,
                Ok(Next::Stop) => Ok(()),
                Err(failure) => Err(failure),
            }
        };
        tokio::pin!(serving);
        let outcome = tokio::select! {
            ended = &mut serving => return Ok(ended?),
            outcome = told_to_stop => outcome,
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

/// Whether to go on serving.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    Serve,
    Stop,
}
