//! A thread that serves connections: it takes them from the acceptor, speaks TLS where there is a certificate, and answers
//! their requests with its own instance of the app.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream as Accepted};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Protocol};
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactory as _, ServiceFactoryExt as _, map_config,
};
use actix_web::App as ActixApp;
use actix_web::dev::AppConfig;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::stop::Stop;
use super::stream::{Io, Stream, Times};
use crate::app::App;
use crate::http::unread_body::{UNREAD_TIME, Unread};
use crate::routes::Doors;
use crate::telemetry::http::Telemetry;
use crate::tls::Certificate;

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// What the workers of a listener have in common.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) app: App,
    pub(super) doors: Doors,
    pub(super) telemetry: Telemetry,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) times: Times,
    pub(super) shutdown_timeout: Duration,
}

/// A connection to be served.
pub(super) struct Connected {
    pub(super) stream: Accepted,
    pub(super) peer: SocketAddr,
    /// Its place among `server.max_connections`.
    pub(super) place: OwnedSemaphorePermit,
}

enum Work {
    Serve(Connected, Arc<()>),
    Stop { grace: Duration },
}

/// A worker, as the acceptor sees it. When this is dropped, the worker takes no more connections. After [`Worker::stop`] it
/// finishes those it has; without that it cuts them off.
pub(super) struct Worker {
    work: UnboundedSender<Work>,
    open: Arc<()>,
}

impl Worker {
    /// Starts the thread. The thread drops `running` when its connections have ended, and ends when the sender of `stored` is
    /// dropped: a database connection that was opened on this thread works only while the thread runs, and other threads may
    /// still use that connection.
    ///
    /// # Errors
    /// The thread or its runtime cannot be made.
    pub(super) async fn start(
        name: String,
        serving: Serving,
        running: Sender<Infallible>,
        mut stored: watch::Receiver<()>,
    ) -> io::Result<Self> {
        let (work, given) = unbounded_channel();
        let (started, has_started) = oneshot::channel();
        std::thread::Builder::new().name(name).spawn(move || {
            match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(async {
                    serve(serving, given, started).await;
                    drop(running);
                    let _ = stored.changed().await;
                }),
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        has_started.await.unwrap_or_else(|_| Err(io::Error::other("a worker thread has not started")))?;
        Ok(Self { work, open: Arc::default() })
    }

    /// How many connections the worker serves, plus one: enough to compare workers.
    pub(super) fn connections(&self) -> usize {
        Arc::strong_count(&self.open)
    }

    /// Gives a connection to the worker.
    pub(super) fn serve(&self, connected: Connected) {
        // This fails if the worker has panicked, or was stopped more than `server.shutdown_timeout_seconds` ago. Then the
        // connection is closed, like all connections of the worker.
        let _ = self.work.send(Work::Serve(connected, Arc::clone(&self.open)));
    }

    /// Tells the worker to stop: idle connections end, and connections that have not sent a request yet may send one within
    /// `grace`. Until this handle is dropped, the worker still serves connections that it is given.
    pub(super) fn stop(&self, grace: Duration) {
        let _ = self.work.send(Work::Stop { grace });
    }
}

async fn serve(
    serving: Serving,
    mut given: UnboundedReceiver<Work>,
    started: oneshot::Sender<io::Result<()>>,
) {
    let Serving { app, doors, telemetry, certificate, times, shutdown_timeout } = serving;
    let unread = Unread::new(Arc::clone(&app.readiness));
    let app = ActixApp::new().configure(|config| app.configure(config, doors)).wrap(unread).wrap(telemetry);
    let app = map_config(app.into_factory(), |()| AppConfig::default());
    // The stream limits the time of requests instead, because it does so for every request and not only for the first.
    let http = HttpService::build()
        .keep_alive(if times.keep_alive.is_zero() { KeepAlive::Disabled } else { KeepAlive::Os })
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(UNREAD_TIME)
        .on_connect_ext(|stream: &Stream, data| {
            data.insert(Rc::clone(stream.connection()));
        })
        .finish(app.map_err(|error: actix_web::Error| error.error_response()));
    let Ok(service) = http.new_service(()).await else {
        let _ = started.send(Err(io::Error::other("the app of a worker thread could not be created")));
        return;
    };
    let service = Rc::new(service);
    let stop = Rc::new(Stop::default());
    let mut connections = JoinSet::new();
    let _ = started.send(Ok(()));
    let mut stops_by = None;
    while let Some(work) = next(&mut given, stops_by).await {
        let (connected, open) = match work {
            Work::Serve(connected, open) => (connected, open),
            Work::Stop { grace } => {
                let now = Instant::now();
                stops_by = Some(now + shutdown_timeout);
                stop.tell(now + grace);
                continue;
            }
        };
        let (service, stop, certificate) = (Rc::clone(&service), Rc::clone(&stop), certificate.clone());
        // Frees the tasks of connections that have ended.
        while connections.try_join_next().is_some() {}
        connections.spawn_local(async move {
            let Connected { stream, peer, place } = connected;
            if let Some(io) = open_stream(stream, certificate.as_deref(), &stop).await {
                let stream = Stream::new(io, times, Rc::clone(&stop));
                let served = service.call((stream, Protocol::Http1, Some(peer)));
                until_ended(pin!(served), &stop).await;
            }
            drop((open, place));
        });
    }
    // Without `Work::Stop`, the loop ends only if the acceptor has failed. Then no connection is waited for.
    let stops_by = stops_by.unwrap_or_else(Instant::now);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout_at(stops_by, all_ended).await.is_err() {
        tracing::warn!(
            "requests were cut off; when the server stops, they may take up to server.shutdown_timeout_seconds"
        );
        connections.shutdown().await;
    }
}

/// Waits for the next work; `None` when the acceptor is gone, or at `stops_by`.
async fn next(given: &mut UnboundedReceiver<Work>, stops_by: Option<Instant>) -> Option<Work> {
    match stops_by {
        None => given.recv().await,
        Some(by) => timeout_at(by, given.recv()).await.ok().flatten(),
    }
}

/// Drives a connection to its end. When the worker stops, the connection is polled once more, so that it notices.
async fn until_ended<T>(mut served: Pin<&mut impl Future<Output = T>>, stop: &Stop) {
    let mut requested = pin!(stop.requested());
    let mut listens = false;
    poll_fn(|cx| {
        if served.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // Polling `requested` once registers the waker. That is enough, since the task stays the same.
        if !listens {
            listens = true;
            if requested.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    })
    .await;
}

/// The bytes of a connection, after the TLS handshake if there is a certificate.
async fn open_stream(stream: Accepted, certificate: Option<&Certificate>, stop: &Stop) -> Option<Io> {
    let tcp = TcpStream::from_std(stream).ok()?;
    let Some(certificate) = certificate else { return Some(Io::Plain(tcp)) };
    let handshake = TlsAcceptor::from(certificate.in_use()).accept(tcp);
    let handshake = timeout(HANDSHAKE_TIME, handshake);
    let tls = tokio::select! {
        biased;
        tls = handshake => tls.ok()?.ok()?,
        () = new_connection_timed_out(stop) => return None,
    };
    Some(Io::Tls(Box::new(tls)))
}

/// Completes when the worker stops and the time for new connections ([`Stop::new_ones_until`]) is over.
async fn new_connection_timed_out(stop: &Stop) {
    let requested = stop.requested();
    if stop.new_ones_until().is_none() {
        requested.await;
    }
    if let Some(until) = stop.new_ones_until() {
        tokio::time::sleep_until(until).await;
    }
}
