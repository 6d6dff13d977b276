//! One middleware for every request: its id, its log line, its metrics.
//!
//! Every request for a token passes through it, so the data of a route is resolved once per worker and kept. The log has
//! method, route pattern, status, duration, peer and the authenticated client: never the path or query as sent, headers or
//! bodies, because any of these may contain a secret (`docs/keys.md`).

mod current;
mod routes;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage};
use futures_util::future::{LocalBoxFuture, Ready, ready};

use super::metrics::Metrics;
use super::request_id::{RequestId, RequestIds};
use crate::config::TrustedProxies;
use crate::model::inline_id::ClientId;
pub(super) use current::Current;
use routes::{Route, Routes};

/// The header that carries the id of a request on every response.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The middleware: one for each app, wrapped around all its services.
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
    /// `seed` is random, so that no other process generates the same request ids. `proxies` are the peers whose
    /// `X-Forwarded-For` is believed.
    pub fn new(metrics: Arc<Metrics>, proxies: TrustedProxies, seed: [u8; 16]) -> Self {
        Self(Arc::new(Shared { metrics, proxies, seed, workers: AtomicU64::new(0) }))
    }
}

/// Notes which client `request` authenticated as, for the log lines from here on.
pub fn authenticated(request: &impl HttpMessage, client_id: ClientId) {
    if let Some(current) = request.extensions().get::<Rc<Current>>() {
        current.authenticated(client_id);
    }
}

/// The address that `request` was sent from; behind trusted proxies the one that they name. `None` if it is unknown.
pub fn source_ip(request: &impl HttpMessage) -> Option<IpAddr> {
    request.extensions().get::<Rc<Current>>().and_then(|current| current.peer)
}

pub(super) fn current_id(request: &impl HttpMessage) -> Option<RequestId> {
    request.extensions().get::<Rc<Current>>().map(|current| current.id)
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

/// [`Telemetry`] in one worker.
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
        let current = Current::new(self.ids.draw(), self.peer(&request));
        let method = method_label(request.method());
        let mut route = self.routes.of_path(request.path());
        request.extensions_mut().insert(Rc::clone(&current));
        let routes = Rc::clone(&self.routes);
        let answered = current.enter(|| self.service.call(request));
        Box::pin(async move {
            let mut answered = pin!(answered);
            let outcome = poll_fn(|cx| current.enter(|| answered.as_mut().poll(cx))).await;
            let (outcome, status) = match outcome {
                Ok(mut response) => {
                    set_request_id(&current.id, response.headers_mut());
                    route.get_or_insert_with(|| routes.of_pattern(response.request().match_pattern()));
                    let status = response.status();
                    (Ok(response), status)
                }
                Err(error) => {
                    let mut response = error.error_response();
                    set_request_id(&current.id, response.headers_mut());
                    let status = response.status();
                    (Err(InternalError::from_response(error, response).into()), status)
                }
            };
            let route = route.unwrap_or_else(|| routes.of_pattern(None));
            let answer = Answer { method, status: status.as_u16(), took: started.elapsed() };
            routes.count(&route, answer.method, answer.status, answer.took);
            current.enter(|| answer.log(&route, current.peer));
            outcome
        })
    }
}

impl<S> TelemetryService<S> {
    fn peer(&self, request: &ServiceRequest) -> Option<IpAddr> {
        let peer = request.head().peer_addr?.ip();
        let lines = request.headers().get_all(X_FORWARDED_FOR).map(HeaderValue::as_bytes);
        self.shared.proxies.client_ip(peer, lines)
    }
}

#[expect(clippy::disallowed_methods, reason = "a duration is measured here, and nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}

fn set_request_id(id: &RequestId, headers: &mut HeaderMap) {
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

/// An address as shown in a log line.
struct Peer(Option<IpAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

/// The data of a response that is logged and counted.
struct Answer {
    method: &'static str,
    status: u16,
    took: Duration,
}

impl Answer {
    fn log(&self, route: &Route, peer: Option<IpAddr>) {
        let Self { method, status, took } = *self;
        let peer = tracing::field::display(Peer(peer));
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "mintmark::http",
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
