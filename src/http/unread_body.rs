//! Closes the connection after a reply to a request whose body was not read to its end.
//!
//! If the reader of a chunked body is dropped, the server keeps reading the body for as long as it arrives. If the reader
//! still exists when the reply is sent, the server closes the connection instead. So the reply keeps the reader.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};

struct UnreadBody(#[expect(dead_code, reason = "kept only to be dropped with the reply")] Payload);

/// Keeps the reader of the body of a refused `request` for [`close_after`], which has no effect if the body was read to
/// its end.
pub(crate) fn hold(request: &HttpRequest, payload: Payload) {
    request.extensions_mut().insert(UnreadBody(payload));
}

/// Makes `response` close the connection, if the body of `request` was not read to its end.
pub(crate) fn close_after(request: &HttpRequest, response: HttpResponse) -> HttpResponse {
    match request.extensions_mut().remove::<UnreadBody>() {
        Some(unread_body) => {
            response.map_body(|_, body| BoxBody::new(ClosingBody { body, _unread: unread_body }))
        }
        None => response,
    }
}

/// The body of a reply, and the reader of the request body.
struct ClosingBody {
    body: BoxBody,
    _unread: UnreadBody,
}

impl MessageBody for ClosingBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
