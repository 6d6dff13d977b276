//! Serves the app on its listeners until shutdown, and runs the background jobs.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::{App as ActixApp, HttpServer};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{App, Listeners, StartError};
use crate::routes::Doors;
use crate::{jobs, tls};

impl App {
    /// Serves until `shutdown` completes, then finishes the requests in flight and writes what is still in memory.
    ///
    /// # Errors
    /// [`StartError::Tls`], [`StartError::Io`], [`StartError::Random`].
    pub async fn run(
        self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StartError> {
        let (stop, stopped) = watch::channel(());
        let mut servers = Vec::new();
        let split = listeners.management.is_some();
        servers.push(self.server(
            listeners.public,
            if split { Doors::Public } else { Doors::All },
            stopped.clone(),
        )?);
        if let Some(listener) = listeners.management {
            servers.push(self.server(listener, Doors::Management, stopped.clone())?);
        }
        let mut background = JoinSet::new();
        background.spawn(jobs::follow_changes(Arc::clone(&self.core.services)));
        background.spawn(jobs::record_tokens(Arc::clone(&self.core.services)));
        background.spawn(jobs::apply_due_changes(Arc::clone(&self.core.services)));
        background.spawn(jobs::housekeeping(Arc::clone(&self.core.services)));
        let readiness = Arc::clone(&self.readiness);
        let mut waiting = JoinSet::new();
        waiting.spawn(async move {
            shutdown.await;
            // First, so that no new requests arrive while the last ones are finished.
            readiness.drain();
            drop(stop);
        });
        let outcome = futures_util::future::try_join_all(servers).await;
        background.shutdown().await;
        waiting.shutdown().await;
        if let Err(error) = self.core.services.write_last_used().await {
            tracing::warn!(%error, "the last uses of secrets and tokens could not be written");
        }
        self.core.services.close().await;
        outcome?;
        Ok(())
    }

    fn server(
        &self,
        listener: TcpListener,
        doors: Doors,
        mut stopped: watch::Receiver<()>,
    ) -> Result<actix_web::dev::Server, StartError> {
        let telemetry = self.telemetry()?;
        let app = self.clone();
        let server = &self.settings.server;
        let http = HttpServer::new(move || {
            ActixApp::new().configure(|config| app.configure(config, doors)).wrap(telemetry.clone())
        })
        .workers(server.workers)
        .max_connections(server.connections_per_worker())
        .client_request_timeout(server.request_timeout)
        .client_disconnect_timeout(server.request_timeout)
        .keep_alive(server.keep_alive)
        .shutdown_timeout(server.shutdown_timeout.as_secs())
        .shutdown_signal(async move {
            // An error means that the other end was dropped, which is the signal.
            let _ = stopped.changed().await;
        });
        let http = match &server.tls {
            None => http.listen(listener)?,
            Some(files) => {
                let config = tls::server_config(files).map_err(StartError::Tls)?;
                http.listen_rustls_0_23(listener, config)?
            }
        };
        Ok(http.run())
    }
}
