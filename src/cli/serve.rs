//! `mintmark serve`: runs the server until a signal stops it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::opened::{key_created, start_serving_log};
use super::{Failure, Global};
use crate::app::{App, Ending, Listeners};
use crate::config::{self, Settings};
use crate::model::clock::SystemClock;
use crate::vault::master::Origin;

/// Run the server until SIGTERM or Ctrl-C (the default command)
///
/// It stops gracefully. After SIGTERM it accepts requests for server.drain_seconds more, while /readyz sends clients
/// elsewhere; after Ctrl-C it skips that. Then it finishes requests in flight, for up to server.shutdown_timeout_seconds. A
/// second SIGTERM or Ctrl-C ends the process at once. SIGHUP reads the TLS certificate again, as a change of its file does.
/// With port 0 in server.listen the system chooses the port; the log shows it, and the issuer is derived from it unless
/// server.public_url is set. The same applies to server.management_listen and server.management_url.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark --config prod.toml serve
  MINTMARK__DATABASE__URL=postgres://tokens@db/tokens mintmark serve")]
pub(super) struct Serve {}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let (settings, listeners) = bind(global)?;
        let _log = start_serving_log(&settings.log);
        let mut signals = Signals::listen()?;
        let app = tokio::select! {
            app = App::build(settings.clone(), Arc::new(SystemClock)) => app?,
            // Opening the database may have to wait for another process.
            asked = signals.stop_before_serving() => {
                tracing::info!("{}: stopped before anything was served", asked.name());
                return Ok(());
            }
        };
        announce(&settings, &listeners, &app).await?;
        signals.serve(app, listeners, Ending::Drained, std::future::pending()).await
    }
}

/// Reads the settings and binds the listeners. If the URL of a listener is derived from a port that the system chooses, this
/// port becomes part of the settings.
pub(super) fn bind(global: &Global) -> Result<(Settings, Listeners), Failure> {
    let config = global.config.as_deref();
    let open = config::open_ports(config, config::environment());
    let public = open.public.map(Listeners::bind_public).transpose()?;
    let management = open.management.map(Listeners::bind_management).transpose()?;
    let mut chosen = Vec::new();
    for (setting, listener) in
        [("MINTMARK__SERVER__LISTEN", &public), ("MINTMARK__SERVER__MANAGEMENT_LISTEN", &management)]
    {
        if let Some(listener) = listener {
            chosen.push((setting.to_owned(), address_of(listener)?.to_string()));
        }
    }
    let settings = Settings::load(config, config::environment().chain(chosen))?;
    let listeners = Listeners::bind(&settings, public, management)?;
    Ok((settings, listeners))
}

/// The address at which a listener accepts connections.
pub(super) fn address_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener
        .local_addr()
        .map_err(|error| Failure::Fault(format!("cannot find out the address that was bound: {error}")))
}

/// Logs that a master key was created, then in one line what is served where, then whether nobody can manage the service or
/// sign in to the console yet.
async fn announce(settings: &Settings, listeners: &Listeners, app: &App) -> Result<(), Failure> {
    let listen = address_of(&listeners.public)?;
    let management = listeners.management.as_ref().map(address_of).transpose()?;
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
    if app.core().services.operators.has_none().await? {
        tracing::info!(
            "nobody can sign in to the console yet: let the first person in with `mintmark operators setup-link EMAIL`"
        );
    }
    Ok(())
}

/// SIGTERM, SIGINT and SIGHUP. Once this exists they no longer end the process by themselves.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// SIGTERM: stop.
    Terminate,
    /// SIGINT, as Ctrl-C sends it: stop without sending clients elsewhere first.
    Interrupt,
    /// SIGHUP: read again what may change while serving.
    Reload,
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Reload => "SIGHUP",
        }
    }
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| Failure::Fault(format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits for the next signal that asks to stop. Ignores SIGHUP, since there is no certificate to read again yet.
    async fn stop_before_serving(&mut self) -> Asked {
        loop {
            match self.next().await {
                Asked::Reload => {}
                stop => return stop,
            }
        }
    }

    /// Waits for the next signal that asks to stop. Until then, SIGHUP reads the TLS certificate again.
    async fn stop(&mut self, app: &App) -> Asked {
        loop {
            match self.next().await {
                Asked::Reload => app.reload_certificate(),
                stop => return stop,
            }
        }
    }

    /// Serves until the first signal to stop, or until `task` returns [`Next::Stop`] or an error; then finishes the
    /// requests in flight, unless a second signal comes. SIGTERM stops as `on_terminate` says, SIGINT with
    /// [`Ending::AtOnce`].
    pub(super) async fn serve(
        mut self,
        app: App,
        listeners: Listeners,
        on_terminate: Ending,
        task: impl Future<Output = Result<Next, Failure>>,
    ) -> Result<(), Failure> {
        let (stop, stopped) = oneshot::channel();
        let drain = app.drain();
        let serving = app.clone().run(listeners, async { stopped.await.unwrap_or(Ending::AtOnce) });
        let task_ended = async {
            match task.await {
                Ok(Next::Serve) => std::future::pending().await,
                Ok(Next::Stop) => Ok(()),
                Err(failure) => Err(failure),
            }
        };
        tokio::pin!(serving);
        let (ending, outcome) = tokio::select! {
            // A signal that is pending already is answered once the server has started.
            biased;
            ended = &mut serving => return Ok(ended?),
            outcome = task_ended => (Ending::AtOnce, outcome),
            asked = self.stop(&app) => {
                let name = asked.name();
                let ending = if asked == Asked::Terminate { on_terminate } else { Ending::AtOnce };
                match ending {
                    Ending::Drained if !drain.is_zero() => tracing::info!(
                        "{name}: sending clients elsewhere for {} seconds, then finishing requests in flight",
                        drain.as_secs()
                    ),
                    _ => tracing::info!("{name}: finishing requests in flight"),
                }
                (ending, Ok(()))
            }
        };
        let _ = stop.send(ending);
        tokio::select! {
            ended = &mut serving => {
                ended?;
                tracing::info!("stopped");
                outcome
            }
            asked = self.stop(&app) => Err(Failure::Fault(format!(
                "{}: stopped at once, without waiting for requests in flight",
                asked.name()
            ))),
        }
    }
}

/// What the server does when the `task` of [`Signals::serve`] has ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    Serve,
    Stop,
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn an_unknown_address_is_not_reported_as_a_failed_write() {
        let no_socket = TcpListener::from(OwnedFd::from(File::open("/dev/null").unwrap()));
        let Err(Failure::Fault(text)) = address_of(&no_socket) else { panic!("a file has no address") };
        assert!(text.starts_with("cannot find out the address"), "{text}");
    }
}
