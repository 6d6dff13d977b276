//! The bytes of a connection, with limits to how long the client may keep the server waiting.
//!
//! The connection's [`Phase`] says what the server waits for: the first byte of a request (`server.keep_alive_seconds`; on a
//! new connection `server.request_timeout_seconds`), or the rest of a head (`server.request_timeout_seconds` from the head's
//! first byte). When that time is over, the stream reads as ended, so that the connection is closed properly. A client also has
//! `server.request_timeout_seconds` to read more of a reply; after that, writing fails. The time of a body is limited where the
//! body is read.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::alarm::Alarm;
use super::stop::Stop;
use crate::http::connection::{Connection, Phase};
use crate::http::unread_body::UNREAD_BYTES;

/// How many bytes of a reply must be read within `server.request_timeout_seconds`, if it does not fit the system's buffers.
const LEAST_READ: usize = 16 * 1024;

/// How long a connection may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// `server.request_timeout_seconds`
    pub(super) request: Duration,
    /// `server.keep_alive_seconds`; zero closes a connection after its reply.
    pub(super) keep_alive: Duration,
}

/// Plain, or within TLS.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The bytes of a connection.
pub(super) struct Stream {
    io: Io,
    connection: Rc<Connection>,
    stop: Rc<Stop>,
    times: Times,
    alarm: Alarm,
    /// The deadline for the first byte of a request or, once that has arrived, for the rest of the head.
    read_by: Instant,
    /// The deadline for the client to read more of a reply; `None` while no write waits for the client.
    write_by: Option<Instant>,
    /// The bytes written since `write_by` was last cleared.
    written: usize,
    /// The bytes received in [`Phase::Closing`], which no handler reads.
    discarded: usize,
    /// Whether the next write has already waited for the requests that are ready.
    has_let_others_go: bool,
}

impl Stream {
    pub(super) fn new(io: Io, times: Times, stop: Rc<Stop>) -> Self {
        let pace =
            if times.keep_alive.is_zero() { times.request } else { times.request.min(times.keep_alive) };
        Self {
            io,
            connection: Rc::default(),
            stop,
            times,
            alarm: Alarm::new(pace),
            read_by: Instant::now() + times.request,
            write_by: None,
            written: 0,
            discarded: 0,
            has_let_others_go: false,
        }
    }

    /// The state of the connection, which the layers above share.
    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn received(&mut self, count: usize) {
        match self.connection.phase() {
            Phase::Idle | Phase::Replying if count > 0 => {
                self.connection.enter(Phase::Head);
                self.read_by = Instant::now() + self.times.request;
            }
            Phase::Closing => self.discarded += count,
            _ => {}
        }
    }

    fn sent(&mut self, count: usize) {
        if matches!(self.connection.phase(), Phase::Replying | Phase::Idle) {
            self.connection.enter(Phase::Idle);
            self.read_by = Instant::now() + self.times.keep_alive;
        }
        self.written += count;
        if self.written >= LEAST_READ {
            self.clear_write_deadline();
        }
    }

    /// Whether to postpone the write of a reply until the requests that are ready now have been answered. A write is postponed
    /// only once. The replies are then written right after each other. That saves wake-ups of the process that reads them,
    /// often one process with many connections: to wake it costs about a tenth of what issuing a token costs, and while it
    /// reads the first reply, it need not be woken for the others.
    ///
    /// Other bytes are not postponed: if a body breaks off, the layer above drops the connection with all that is unwritten.
    fn lets_others_go_first(&mut self, cx: &Context<'_>) -> bool {
        if self.has_let_others_go || self.connection.phase() != Phase::Replying {
            return false;
        }
        self.has_let_others_go = true;
        cx.waker().wake_by_ref();
        true
    }

    fn clear_write_deadline(&mut self) {
        self.written = 0;
        self.write_by = None;
    }

    /// Whether to stop reading from a connection on which nothing has arrived.
    fn is_read_late(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = match self.connection.phase() {
            Phase::Idle => match self.stop.new_ones_until() {
                None => Some(self.read_by),
                Some(_) if self.connection.has_answered() => return true,
                Some(until) => Some(until.min(self.read_by)),
            },
            Phase::Head => Some(self.read_by),
            Phase::Answering | Phase::Replying | Phase::Closing => None,
        };
        self.alarm.has_passed(cx, deadline, self.write_by)
    }

    /// The outcome of a write that has to wait for the client: an error if it has waited too long.
    fn not_written<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let by = *self.write_by.get_or_insert_with(|| Instant::now() + self.times.request);
        let reading = matches!(self.connection.phase(), Phase::Idle | Phase::Head).then_some(self.read_by);
        if self.alarm.has_passed(cx, Some(by), reading) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.phase() == Phase::Closing && this.discarded >= UNREAD_BYTES {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Io::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        };
        match read {
            Poll::Ready(outcome) => {
                this.received(buf.filled().len().saturating_sub(before));
                Poll::Ready(outcome)
            }
            Poll::Pending if this.is_read_late(cx) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.lets_others_go_first(cx) {
            return Poll::Pending;
        }
        let written = match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        };
        match written {
            Poll::Ready(outcome) => {
                this.has_let_others_go = false;
                this.sent(outcome.as_ref().copied().unwrap_or(0));
                Poll::Ready(outcome)
            }
            Poll::Pending => this.not_written(cx),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        };
        match flushed {
            Poll::Ready(outcome) => {
                this.clear_write_deadline();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.not_written(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ended = match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        };
        match ended {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => this.not_written(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_first_write_of_a_reply_is_postponed_once_and_other_writes_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, served) = tokio::join!(TcpStream::connect(address), listener.accept());
        let times = Times { request: Duration::from_secs(10), keep_alive: Duration::from_secs(10) };
        let mut stream = Stream::new(Io::Plain(served.unwrap().0), times, Rc::default());
        let (mut client, mut read) = (client.unwrap(), [0; 3]);
        for (phase, lets_others_go) in [
            (Phase::Replying, true),
            (Phase::Replying, true),
            (Phase::Answering, false),
            (Phase::Closing, false),
        ] {
            stream.connection().enter(phase);
            if lets_others_go {
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut stream).poll_write(cx, b"200").is_pending());
                assert!(client.try_read(&mut read).is_err(), "nothing has been written");
            }
            let cx = &mut Context::from_waker(Waker::noop());
            let Poll::Ready(written) = Pin::new(&mut stream).poll_write(cx, b"200") else {
                panic!("{phase:?}: not written");
            };
            assert_eq!(written.unwrap(), 3);
            client.read_exact(&mut read).await.unwrap();
        }
    }
}
