//! Bodies that are not read to their end: the connection is closed after the reply.
//!
//! Once the reader of a chunked body is dropped, the server goes on to read it for as long as its sender likes. If the
//! reader is still there when the reply is out, the server closes instead. So the reply holds it.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};

struct Unread(#[expect(dead_code, reason = "held only to be dropped late")] Payload);

/// Notes that `request` is refused with its body in whatever state it is. A body that was read whole does no harm.
pub(crate) fn keep(request: &HttpRequest, payload: Payload) {
    request.extensions_mut().insert(Unread(payload));
}

/// Makes `response` end the connection if the body was not read to its end.
pub(crate) fn close_with(request: &HttpRequest, response: HttpResponse) -> HttpResponse {
    match request.extensions_mut().remove::<Unread>() {
        Some(unread) => response.map_body(|_, body| BoxBody::new(Holding { body, _unread: unread })),
        None => response,
    }
}

/// The body of a reply, and what must live as long as it does.
struct Holding {
    body: BoxBody,
    _unread: Unread,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
