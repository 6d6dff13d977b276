//! A thread that accepts the connections of a listener and hands each to the worker that has the fewest.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::net::TcpListener as Listener;
use tokio::runtime::Builder;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::Ending;
use super::worker::{Connected, Worker};

/// How long to wait, after new connections are ignored, for those whose handshake has begun.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a connection that was just accepted may take to send its request when the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait before the next attempt after an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// At most one such error is logged in this time.
const LOG_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Acceptor {
    listener: TcpListener,
    workers: Vec<Worker>,
    /// How many more connections may be open, up to `server.max_connections`.
    places: Arc<Semaphore>,
    logged: Option<Instant>,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, workers: Vec<Worker>, max_connections: usize) -> Self {
        let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        Self { listener, workers, places, logged: None }
    }

    /// Starts the thread. It accepts until `stop` says how to end; then it drops `running`.
    ///
    /// # Errors
    /// The thread or its runtime cannot be made, or the listener cannot be used.
    pub(super) fn start(
        mut self,
        name: String,
        stop: oneshot::Receiver<Ending>,
        running: Sender<Infallible>,
    ) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(name).spawn(move || {
            let _running = running;
            if let Err(error) = runtime.block_on(self.accept(stop)) {
                tracing::error!(%error, "connections can no longer be accepted");
            }
        })?;
        Ok(())
    }

    async fn accept(&mut self, mut stop: oneshot::Receiver<Ending>) -> io::Result<()> {
        let listener = Listener::from_std(self.listener.try_clone()?)?;
        let ending = tokio::select! {
            biased;
            ending = &mut stop => ending.unwrap_or(Ending::AtOnce),
            error = self.accept_all(&listener) => return Err(error),
        };
        let is_drained = ending == Ending::Drained;
        if is_drained {
            ignore_new_connections(&self.listener);
            // Connections whose TCP handshake had begun may still complete it.
            let settled = Instant::now() + SETTLE;
            if let Ok(error) = timeout_at(settled, self.accept_all(&listener)).await {
                return Err(error);
            }
        }
        for worker in &self.workers {
            worker.stop(if is_drained { GRACE } else { Duration::ZERO });
        }
        // Connections that wait to be accepted have sent a request or are about to. The workers still serve them: they take
        // connections until `self.workers` is dropped, after this loop.
        while let Ok((stream, peer)) = self.listener.accept() {
            self.give(stream, peer).await;
        }
        Ok(())
    }

    /// Accepts connections. Returns only when no more connections can be accepted.
    async fn accept_all(&mut self, listener: &Listener) -> io::Error {
        loop {
            // Take the place before the connection, so that connections beyond the limit wait in the listen queue.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return io::Error::other("no more connections");
            };
            let accepted = match listener.accept().await {
                Ok((stream, peer)) => stream.into_std().map(|stream| Connected { stream, peer, place }),
                Err(error) => Err(error),
            };
            match accepted {
                Ok(connected) => self.hand_over(connected),
                Err(error) => self.failed(&error).await,
            }
        }
    }

    async fn give(&self, stream: TcpStream, peer: SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        // A connection that cannot be made non-blocking is closed: it cannot be served.
        if let (Ok(place), Ok(())) = (place, stream.set_nonblocking(true)) {
            self.hand_over(Connected { stream, peer, place });
        }
    }

    fn hand_over(&self, connected: Connected) {
        if let Some(worker) = self.workers.iter().min_by_key(|worker| worker.connections()) {
            worker.serve(connected);
        }
    }

    /// Ignores an error that concerns only one connection. Other errors mean that the system lacks resources, such as open
    /// files: logs the error and waits before the next attempt.
    async fn failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return;
        }
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            tracing::error!(%error, "a connection could not be accepted; trying again");
        }
        sleep(PAUSE).await;
    }
}

/// Drops the first packet (SYN) of every new connection, so that the client sends the packet again, and reaches another
/// server once this listener is closed. Connections that are established, or whose handshake has begun, are not affected;
/// closing the listener now would reset those that wait to be accepted.
fn ignore_new_connections(listener: &TcpListener) {
    // The filter sees each packet from its TCP header on; the SYN flag is 0x02 in byte 13.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "new connections cannot be ignored; the last of them may be reset");
    }
}
