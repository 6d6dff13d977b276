//! The bytes of a connection, with a limit to how long each side may keep the other waiting.
//!
//! What it waits for is known from the connection's [`Phase`]: the first byte of a request (`server.keep_alive_seconds`; on
//! a new connection `server.request_timeout_seconds`), the rest of a head (`server.request_timeout_seconds` from its first
//! byte, also of later heads), or the reader of a reply. A connection whose time is over reads as ended, so that it is
//! closed properly. The time of a body is limited where it is read.

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

/// How much of a reply must be read within `server.request_timeout_seconds`, if it does not fit the system's buffers.
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
    /// When what is read next must have begun, or a head must have ended.
    read_by: Instant,
    /// When more of a reply must have been read.
    write_by: Option<Instant>,
    written: usize,
    discarded: usize,
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
        }
    }

    /// What the layers above share with it.
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
            self.all_sent();
        }
    }

    fn all_sent(&mut self) {
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

    /// The outcome of a write that cannot go on: an error if it has waited too long.
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
        let written = match &mut this.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        };
        match written {
            Poll::Ready(outcome) => {
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
                this.all_sent();
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
