//! One middleware for every request: its id, its span, its line in the log, its numbers.
//!
//! It stands on the path of every token, so what a route needs is resolved once a worker and kept. Logged are method,
//! route pattern, status, duration, peer and the authenticated client: never the path or query as sent, no header and
//! no body, since any of these may carry a secret (`docs/keys.md`).

mod routes;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use tracing::{Instrument as _, Span};

use super::metrics::Metrics;
use super::request_id::{RequestId, RequestIds};
use crate::config::TrustedProxies;
use routes::{Route, Routes};

/// The header that carries the id of a request on every response.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The middleware; one an app, wrapped around all its services.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: Arc<Metrics>,
    proxies: TrustedProxies,
    seed: [u8; 16],
    workers: AtomicU64,
}

impl Telemetry {
    /// `seed` is random and makes the request ids of this process its own; `proxies` say which peers forward for others.
    pub fn new(metrics: Arc<Metrics>, proxies: TrustedProxies, seed: [u8; 16]) -> Self {
        Self(Arc::new(Shared { metrics, proxies, seed, workers: AtomicU64::new(0) }))
    }
}

/// Notes on the span of `request`, and so on its log lines, which client it authenticated as.
pub fn authenticated(request: &impl HttpMessage, client_id: &str) {
    if let Some(current) = request.extensions().get::<Current>() {
        current.span.record("client_id", client_id);
    }
}

/// The address `request` came from, behind trusted proxies the one they name.
pub fn source_ip(request: &impl HttpMessage) -> Option<IpAddr> {
    request.extensions().get::<Current>().and_then(|current| current.peer)
}

pub(super) fn current_id(request: &impl HttpMessage) -> Option<RequestId> {
    request.extensions().get::<Current>().map(|current| current.id)
}

/// What a request carries in its extensions.
struct Current {
    id: RequestId,
    span: Span,
    peer: Option<IpAddr>,
}

impl<S, B> Transform<S, ServiceRequest> for Telemetry
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = TelemetryService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let shared = Arc::clone(&self.0);
        let ids = RequestIds::new(shared.seed, shared.workers.fetch_add(1, Ordering::Relaxed));
        let routes = Rc::new(Routes::new(Arc::clone(&shared.metrics)));
        ready(Ok(TelemetryService { service, shared, ids, routes }))
    }
}

/// What [`Telemetry`] is in one worker.
#[derive(Debug)]
pub struct TelemetryService<S> {
    service: S,
    shared: Arc<Shared>,
    ids: RequestIds,
    routes: Rc<Routes>,
}

impl<S, B> Service<ServiceRequest> for TelemetryService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = now();
        let id = self.ids.draw();
        // Of the highest level, so that events of any level carry the id.
        let span = tracing::error_span!(
            target: "mintmark::request",
            "request",
            request_id = id.as_str(),
            client_id = tracing::field::Empty,
        );
        let peer = self.peer(&request);
        let mut seen = Seen {
            started,
            span: span.clone(),
            peer,
            method: method_label(request.method()),
            route: self.routes.of_path(request.path()),
        };
        request.extensions_mut().insert(Current { id, span: span.clone(), peer });
        let routes = Rc::clone(&self.routes);
        let answered = span.in_scope(|| self.service.call(request)).instrument(span);
        Box::pin(async move {
            match answered.await {
                Ok(mut response) => {
                    name(&id, response.headers_mut());
                    seen.route.get_or_insert_with(|| routes.of_pattern(response.request().match_pattern()));
                    seen.report(&routes, response.status().as_u16());
                    Ok(response)
                }
                Err(error) => {
                    let mut response = error.error_response();
                    name(&id, response.headers_mut());
                    seen.report(&routes, response.status().as_u16());
                    Err(InternalError::from_response(error, response).into())
                }
            }
        })
    }
}

impl<S> TelemetryService<S> {
    fn peer(&self, request: &ServiceRequest) -> Option<IpAddr> {
        let peer = request.head().peer_addr?.ip();
        let lines = request.headers().get_all(X_FORWARDED_FOR).map(|line| line.to_str().unwrap_or_default());
        Some(self.shared.proxies.client_ip(peer, lines))
    }
}

#[expect(clippy::disallowed_methods, reason = "a duration is measured here, and nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}

fn name(id: &RequestId, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_bytes(id.as_bytes()) {
        headers.insert(X_REQUEST_ID, value);
    }
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// What is known of a request before it is answered.
struct Seen {
    started: Instant,
    span: Span,
    peer: Option<IpAddr>,
    method: &'static str,
    route: Option<Rc<Route>>,
}

impl Seen {
    fn report(self, routes: &Routes, status: u16) {
        let Self { started, span, peer, method, route } = self;
        let took = started.elapsed();
        let route = route.unwrap_or_else(|| routes.of_pattern(None));
        routes.count(&route, method, status, took);
        let peer = peer.map(tracing::field::display);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "mintmark::http",
                    parent: &span,
                    method,
                    route = route.pattern(),
                    status,
                    duration_us = micros,
                    peer,
                )
            };
        }
        if route.is_probe() && status < 400 {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

#[cfg(test)]
mod tests;
