//! Bodies that no handler reads to their end, on any route. A body that is small and arrives soon is read and discarded, so
//! that the connection can be used again; otherwise the connection is closed after the reply.
//!
//! While the server is about to stop, this layer also adds `Connection: close` to every reply.

use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::Error;
use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{ConnectionType, header};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::time::timeout;

use super::body::at_once;
use super::connection::{Body, Connection, Phase};
use crate::telemetry::health::Readiness;

/// How many bytes of an unread body are read and discarded.
pub(crate) const UNREAD_BYTES: usize = 64 * 1024;
/// How long such a body may take to arrive.
pub(crate) const UNREAD_TIME: Duration = Duration::from_secs(1);

/// The layer. It is the innermost one of an app, because only there the future of the service needs no extra box.
#[derive(Debug, Clone)]
pub(crate) struct Unread(Arc<Readiness>);

impl Unread {
    /// `readiness` says whether the server is about to stop.
    pub(crate) fn new(readiness: Arc<Readiness>) -> Self {
        Self(readiness)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Unread
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: Unpin,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = UnreadService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(UnreadService { service, server: Rc::new(Server { readiness: Arc::clone(&self.0) }) }))
    }
}

/// The service that [`Unread`] makes for a worker.
#[derive(Debug)]
pub(crate) struct UnreadService<S> {
    service: S,
    server: Rc<Server>,
}

/// What each request needs from the server when it is answered. Each worker has its own `Server` in an `Rc`, so that requests
/// of different workers do not share a reference count.
#[derive(Debug)]
struct Server {
    readiness: Arc<Readiness>,
}

impl<S, B> Service<ServiceRequest> for UnreadService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: Unpin,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Answering<S::Future, B>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let connection = request.conn_data::<Rc<Connection>>().map(Rc::clone);
        if let Some(connection) = &connection {
            connection.begin(request.take_payload());
        }
        let answered = self.service.call(request);
        Answering { answered, connection, server: Rc::clone(&self.server), late: None }
    }
}

/// A request that is being answered.
pub(crate) struct Answering<F, B> {
    answered: F,
    connection: Option<Rc<Connection>>,
    server: Rc<Server>,
    /// Reads what is left of the body, then gives the response. `None` as long as nothing has to be read.
    late: Option<LocalBoxFuture<'static, ServiceResponse<B>>>,
}

impl<F, B> Future for Answering<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>> + Unpin,
    B: 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(late) = &mut this.late {
            return late.as_mut().poll(cx).map(Ok);
        }
        let Poll::Ready(outcome) = Pin::new(&mut this.answered).poll(cx) else { return Poll::Pending };
        let Some(connection) = this.connection.take() else { return Poll::Ready(outcome) };
        let mut response = match outcome {
            Ok(response) => response,
            Err(error) => {
                connection.end(Phase::Closing);
                return Poll::Ready(Err(error));
            }
        };
        if this.server.readiness.is_draining() {
            close(&mut response);
        }
        match connection.take_body() {
            Body::None => {
                connection.end(Phase::Replying);
                Poll::Ready(Ok(response))
            }
            Body::Unread(body) if may_end_soon(&response) => {
                let late = this.late.insert(Box::pin(after_the_rest(connection, body, response)));
                late.as_mut().poll(cx).map(Ok)
            }
            Body::Unread(body) | Body::Refused(body) => {
                refuse(&connection, body, &mut response);
                Poll::Ready(Ok(response))
            }
        }
    }
}

/// Reads what is left of `body`, then gives the response.
async fn after_the_rest<B>(
    connection: Rc<Connection>,
    mut body: Payload,
    mut response: ServiceResponse<B>,
) -> ServiceResponse<B> {
    let has_ended = {
        let mut rest = pin!(ends(&mut body));
        // Most bodies arrive together with the headers, so a timer is set only for those that do not.
        match at_once(rest.as_mut()).await {
            Some(has_ended) => has_ended,
            None => timeout(UNREAD_TIME, rest).await.unwrap_or(false),
        }
    };
    if has_ended {
        connection.end(Phase::Replying);
    } else {
        refuse(&connection, body, &mut response);
    }
    response
}

/// Reads and discards `body`. Returns whether it ends within [`UNREAD_BYTES`].
async fn ends(body: &mut Payload) -> bool {
    let mut left = UNREAD_BYTES;
    while let Some(chunk) = body.next().await {
        match chunk.ok().and_then(|chunk| left.checked_sub(chunk.len())) {
            Some(less) => left = less,
            None => return false,
        }
    }
    true
}

/// Whether it is worth waiting for the rest of the body: not if the reply ends the connection anyway, nor if the body is
/// announced to be larger than what is read.
fn may_end_soon<B>(response: &ServiceResponse<B>) -> bool {
    let length = response.request().headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    response.response().head().keep_alive() && length.is_none_or(|length| length <= UNREAD_BYTES)
}

/// Ends the connection after the reply. The body is kept, because actix-http would read a dropped body to its end.
fn refuse<B>(connection: &Connection, body: Payload, response: &mut ServiceResponse<B>) {
    connection.keep_body(Body::Refused(body));
    connection.end(Phase::Closing);
    close(response);
}

fn close<B>(response: &mut ServiceResponse<B>) {
    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
}
