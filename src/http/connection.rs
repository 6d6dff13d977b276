//! The state of a connection: what it is doing, and the body of the request that is being answered. The server, which reads
//! the bytes, and the layer [`unread_body`](super::unread_body), through which every request passes, share this state.
//!
//! The body stays here until a handler reads it. If no handler reads it to its end, on any route, `unread_body` reads and
//! discards a small one, and otherwise closes the connection after the reply.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::dev::Payload;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// It waits for the first byte of a request.
    #[default]
    Idle,
    /// A head has begun to arrive.
    Head,
    /// A request is being answered.
    Answering,
    /// The answer is there and is about to be sent.
    Replying,
    /// The answer is there, and the connection ends after it, since the body of the request was not read to its end.
    Closing,
}

/// The state of a connection. Each connection has its own, created when it opens.
#[derive(Default)]
pub(crate) struct Connection {
    phase: Cell<Phase>,
    has_answered: Cell<bool>,
    body: Cell<Body>,
}

/// The body of the request that is being answered.
#[derive(Default)]
pub(super) enum Body {
    /// The request has no body, or the body was read.
    #[default]
    None,
    /// It has not been read to its end.
    Unread(Payload),
    /// It is not read any further, for example because it is too large or too slow. The connection ends after the reply.
    Refused(Payload),
}

impl Connection {
    /// What the connection is doing.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Notes what the connection is doing.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Whether a request has been answered on this connection.
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered.get()
    }

    /// Notes that a request with this body begins.
    pub(super) fn begin(&self, body: Payload) {
        self.phase.set(Phase::Answering);
        self.body.set(if matches!(body, Payload::None) { Body::None } else { Body::Unread(body) });
    }

    /// Notes that the request has its answer.
    pub(super) fn end(&self, phase: Phase) {
        self.has_answered.set(true);
        self.phase.set(phase);
    }

    pub(super) fn take_body(&self) -> Body {
        self.body.take()
    }

    /// Keeps a body: an unread one until [`unread_body`](super::unread_body) takes it, a refused one until the connection ends,
    /// since actix-http would read a dropped body to its end.
    pub(super) fn keep_body(&self, body: Body) {
        self.body.set(body);
    }
}

/// The body of a request, for a handler to read. When this is dropped before the body was read to its end, the body goes
/// back to the connection.
pub(crate) struct PendingBody {
    payload: Payload,
    connection: Option<Rc<Connection>>,
    left: Left,
}

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing of it has been read.
    All,
    /// It was refused, or reading it failed.
    Rest,
    /// It was read to its end.
    Nothing,
}

impl PendingBody {
    /// Takes the body of `request`. Without a connection, as in tests of a handler alone, the body is `payload`.
    pub(crate) fn of(request: &HttpRequest, payload: &mut Payload) -> Self {
        let connection = request.conn_data::<Rc<Connection>>().map(Rc::clone);
        let (payload, left) = match connection.as_ref().map(|connection| connection.take_body()) {
            Some(Body::Unread(kept)) => (kept, Left::All),
            Some(Body::Refused(kept)) => (kept, Left::Rest),
            Some(Body::None) | None => (payload.take(), Left::All),
        };
        Self { payload, connection, left }
    }

    pub(super) fn payload(&mut self) -> &mut Payload {
        &mut self.payload
    }

    pub(super) fn leave(&mut self, left: Left) {
        self.left = left;
    }
}

impl Drop for PendingBody {
    fn drop(&mut self) {
        let Some(connection) = &self.connection else { return };
        let payload = self.payload.take();
        if matches!(payload, Payload::None) {
            return;
        }
        match self.left {
            Left::All => connection.keep_body(Body::Unread(payload)),
            Left::Rest => connection.keep_body(Body::Refused(payload)),
            Left::Nothing => {}
        }
    }
}
