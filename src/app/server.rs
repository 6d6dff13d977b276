//! Serves the app on its listeners until shutdown, and runs the background jobs.
//!
//! A listener has an acceptor and workers, each a thread: [`acceptor`], [`worker`]. The bytes of a connection go through a
//! [`stream`], which enforces its time limits.

mod acceptor;
mod alarm;
mod stop;
mod stream;
mod worker;

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{App, Listeners, StartError};
use crate::jobs;
use crate::routes::Doors;
use crate::services::Services;
use acceptor::Acceptor;
use stream::Times;
use worker::{Serving, Worker};

/// How long to wait, after the last request has ended, for the jobs that requests depend on. Their steps are short.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Without losing a request: for `server.drain_seconds` requests are still accepted, while `/readyz` and
    /// `Connection: close` send clients elsewhere. Then requests in flight are finished.
    Drained,
    /// Without that wait: only requests in flight are finished.
    AtOnce,
}

/// Waits until all jobs have ended.
async fn all_ended(jobs: &mut JoinSet<()>) {
    while jobs.join_next().await.is_some() {}
}

/// Records tokens in a thread with its own runtime. This runtime often waits for the database, and in a runtime with several
/// threads each wake-up would wake a second thread for nothing. The receiver gets a message when recording has ended. The
/// thread stays until the sender of `stored` is dropped, because a connection to the database that was opened in a thread works
/// only as long as that thread lives.
///
/// # Errors
/// The thread or its runtime cannot be made.
fn record(
    services: Arc<Services>,
    stop: jobs::Stop,
    mut stored: watch::Receiver<()>,
) -> std::io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, has_ended) = oneshot::channel();
    std::thread::Builder::new().name("record".to_owned()).spawn(move || {
        runtime.block_on(async {
            jobs::record_tokens(services, stop).await;
            let _ = ended.send(());
            let _ = stored.changed().await;
        });
    })?;
    Ok(has_ended)
}

impl App {
    /// Serves until `shutdown` says how to stop, then finishes the requests in flight and writes what is still in memory.
    ///
    /// # Errors
    /// [`StartError::Io`], [`StartError::Random`].
    pub async fn run(
        self,
        listeners: Listeners,
        shutdown: impl Future<Output = Ending> + Send + 'static,
    ) -> Result<(), StartError> {
        super::open_files::ensure(&self.settings);
        let (running, mut all_served) = channel(1);
        // Dropped at the end, when all is stored.
        let (_storing, stored) = watch::channel(());
        let public = if listeners.management.is_some() { Doors::Public } else { Doors::All };
        let mut stops = vec![self.serve(listeners.public, public, &running, &stored).await?];
        if let Some(listener) = listeners.management {
            stops.push(self.serve(listener, Doors::Management, &running, &stored).await?);
        }
        drop(running);
        let services = &self.core.services;
        let (stop_serving, served) = watch::channel(false);
        let mut serving = JoinSet::new();
        serving.spawn(jobs::follow_changes(Arc::clone(services), served.clone()));
        serving.spawn(jobs::check_writing(Arc::clone(services), served.clone()));
        let recorded = record(Arc::clone(services), served, stored.clone())?;
        let (stop_working, stopping) = watch::channel(false);
        let mut working = JoinSet::new();
        working.spawn(jobs::apply_due_changes(Arc::clone(services), stopping.clone()));
        working.spawn(jobs::store_usage(Arc::clone(services), stopping.clone()));
        working.spawn(jobs::write_last_uses(Arc::clone(services), stopping.clone()));
        working.spawn(jobs::keep_audit_tree(Arc::clone(services), stopping.clone()));
        working.spawn(jobs::housekeeping(Arc::clone(services), stopping.clone()));
        if let Some(certificate) = &self.certificate {
            working.spawn(jobs::follow_certificate(Arc::clone(certificate), stopping.clone()));
        }
        if self.settings.delivery.worker {
            let worker = Arc::clone(&self.worker);
            working.spawn(async move { worker.run(stopping).await });
        }
        let drain = self.settings.server.drain;
        let ending = match shutdown.await {
            Ending::Drained if drain.is_zero() => Ending::AtOnce,
            ending => ending,
        };
        // First, so that clients go elsewhere before connections are closed.
        self.readiness.drain();
        if ending == Ending::Drained {
            tokio::time::sleep(drain).await;
        }
        for stop in stops {
            let _ = stop.send(ending);
        }
        // A delivery that does not end in time is aborted below. When its lease has run out, a process that sends deliveries
        // tries it again.
        let _ = stop_working.send(true);
        let worked = timeout(self.settings.server.shutdown_timeout, all_ended(&mut working));
        tokio::join!(all_served.recv(), worked).1.ok();
        // Only now: requests in flight needed these jobs.
        let _ = stop_serving.send(true);
        timeout(LAST_STEPS, async { tokio::join!(all_ended(&mut serving), recorded) }).await.ok();
        // Before the remaining jobs are aborted: this waits for a job that is storing counts, so that it ends before the abort.
        if let Err(error) = services.usage.flush().await {
            tracing::warn!(%error, "the latest uses of API clients could not be stored");
        }
        tokio::join!(working.shutdown(), serving.shutdown());
        if let Err(error) = services.write_last_used().await {
            tracing::warn!(%error, "the last uses of secrets and tokens could not be written");
        }
        if let Err(error) = services.ledger.leave_audit_tree().await {
            tracing::warn!(%error, "no last checkpoint of the audit trail could be signed");
        }
        if let Err(error) = services.ledger.write_last_instant().await {
            tracing::warn!(%error, "the time of this stop could not be written");
        }
        services.close().await;
        Ok(())
    }

    /// Starts the threads of a listener. When the returned sender is used or dropped, they finish their connections and then
    /// drop `running`. The workers end when the sender of `stored` is dropped.
    async fn serve(
        &self,
        listener: TcpListener,
        doors: Doors,
        running: &Sender<Infallible>,
        stored: &watch::Receiver<()>,
    ) -> Result<oneshot::Sender<Ending>, StartError> {
        let settings = &self.settings.server;
        let serving = Serving {
            app: self.clone(),
            doors,
            telemetry: self.telemetry()?,
            certificate: self.certificate.clone(),
            times: Times { request: settings.request_timeout, keep_alive: settings.keep_alive },
            shutdown_timeout: settings.shutdown_timeout,
        };
        let mut workers = Vec::with_capacity(settings.workers);
        for number in 0..settings.workers {
            let name = format!("http {number}");
            workers.push(Worker::start(name, serving.clone(), running.clone(), stored.clone()).await?);
        }
        let (stop, stopped) = oneshot::channel();
        let acceptor = Acceptor::new(listener, workers, settings.max_connections);
        acceptor.start("accept".to_owned(), stopped, running.clone())?;
        Ok(stop)
    }
}
