//! Requests through the middleware: what comes back, what is logged, what is counted.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Mutex;

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, HttpRequest, HttpResponse, web};

use super::*;
use crate::config::Settings;
use crate::telemetry::logs::{self, tests::Memory};

async fn token(request: HttpRequest) -> HttpResponse {
    authenticated(&request, ClientId::new("cl_one").unwrap());
    tracing::warn!(target: "mintmark::oauth", "from the handler");
    HttpResponse::Ok().body(RequestId::of(&request).to_string())
}

async fn fails() -> Result<HttpResponse, Error> {
    Err(actix_web::error::ErrorImATeapot("canary"))
}

/// Sends each request through one app; gives the replies (status, `X-Request-Id`, body) and the log.
async fn exchange(
    settings: &str,
    metrics: &Arc<Metrics>,
    requests: Vec<TestRequest>,
) -> (Vec<Reply>, String) {
    let settings = Settings::from_toml_layers(&[settings]).unwrap();
    let memory = Memory::default();

    let _log = tracing::subscriber::set_default(logs::subscriber(&settings.log, memory.clone()));
    let proxies = settings.server.trusted_proxies.clone();
    let app = App::new()
        // An inner middleware that refuses with an error instead of a response, as some do.
        .wrap(from_fn(|request: ServiceRequest, next: actix_web::middleware::Next<_>| async move {
            if request.headers().contains_key("x-refused") {
                return Err(actix_web::error::ErrorUnauthorized("canary"));
            }
            next.call(request).await
        }))
        .wrap(Telemetry::new(Arc::clone(metrics), proxies, [7; 16]))
        // `App::route` replies 404, not 405, to other methods.
        .route("/oauth2/token", web::post().to(token))
        .route("/v1/products/{product}", web::get().to(HttpResponse::NoContent))
        .route("/fails", web::get().to(fails))
        .route("/healthz", web::get().to(HttpResponse::Ok))
        .route("/readyz", web::get().to(HttpResponse::ServiceUnavailable));
    let app = init_service(app).await;
    let mut replies = Vec::new();
    for request in requests {
        let request = request.peer_addr(SocketAddr::from(([127, 0, 0, 1], 4711)));
        let response = match try_call_service(&app, request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let status = response.status();
        let ids: Vec<_> =
            response.headers().get_all(X_REQUEST_ID).map(|id| id.to_str().unwrap().to_owned()).collect();
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let [id] = <[String; 1]>::try_from(ids).unwrap();
        replies.push(Reply { status, id, body: String::from_utf8(body.to_vec()).unwrap() });
    }
    (replies, memory.text())
}

struct Reply {
    status: StatusCode,
    id: String,
    body: String,
}

#[tokio::test]
async fn every_response_carries_one_id_that_the_server_generated() {
    let requests = vec![
        TestRequest::post().uri("/oauth2/token"),
        TestRequest::post().uri("/oauth2/token").insert_header((X_REQUEST_ID, "mine")),
        TestRequest::get().uri("/oauth2/token"),
        TestRequest::get().uri("/fails"),
        TestRequest::get().uri("/nowhere"),
        TestRequest::get().uri("/v1/products/gst"),
        TestRequest::get().uri("/fails").insert_header(("x-refused", "1")),
    ];
    let (replies, _) = exchange("", &Arc::default(), requests).await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 404, 418, 404, 204, 401]);
    let ids: HashSet<&str> = replies.iter().map(|reply| reply.id.as_str()).collect();
    assert_eq!(ids.len(), replies.len());
    assert!(ids.iter().all(|id| id.len() == 22));
    assert_eq!(replies[0].body, replies[0].id, "a handler sees the id its client sees");
}

#[tokio::test]
async fn each_request_logs_one_line_with_nothing_that_the_caller_wrote() {
    let canary = |request: TestRequest| {
        request
            .insert_header(("authorization", "Basic canary"))
            .insert_header(("user-agent", "canary"))
            .insert_header(("x-forwarded-for", "203.0.113.9"))
            .set_payload("client_secret=canary")
    };
    let requests = vec![
        canary(TestRequest::post().uri("/oauth2/token?client_secret=canary")),
        canary(TestRequest::get().uri("/v1/products/canary?x=canary")),
        canary(TestRequest::get().uri("/canary")),
        canary(TestRequest::get().uri("/fails")),
        canary(TestRequest::default().method(Method::from_bytes(b"CANARY").unwrap()).uri("/oauth2/token")),
    ];
    let (replies, log) =
        exchange("log.format = \"json\"\nlog.level = \"trace\"", &Arc::default(), requests).await;
    assert!(!log.to_ascii_lowercase().contains("canary"), "{log}");
    let events: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<_> = events.iter().filter(|event| event["target"] == "mintmark::http").collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line["method"].as_str(), line["route"].as_str(), line["status"].as_u64()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("POST"), Some("/oauth2/token"), Some(200)),
            (Some("GET"), Some("/v1/products/{product}"), Some(204)),
            (Some("GET"), Some("unmatched"), Some(404)),
            (Some("GET"), Some("/fails"), Some(418)),
            (Some("other"), Some("/oauth2/token"), Some(404)),
        ]
    );
    for (line, reply) in lines.iter().zip(&replies) {
        assert_eq!(line["span"]["request_id"], reply.id);
        assert_eq!(line["peer"], "127.0.0.1", "X-Forwarded-For of an untrusted peer is ignored");
        assert!(line["duration_us"].as_u64().is_some());
    }
    assert_eq!(lines[0]["span"]["client_id"], "cl_one");
    assert!(lines[1]["span"]["client_id"].is_null());
    let inside = events.iter().find(|event| event["target"] == "mintmark::oauth").unwrap();
    assert_eq!(
        (&inside["span"]["request_id"], &inside["span"]["client_id"]),
        (&replies[0].id.as_str().into(), &"cl_one".into())
    );
}

#[tokio::test]
async fn the_peer_is_the_client_behind_a_trusted_proxy_or_unknown_if_the_header_is_unreadable() {
    let request =
        TestRequest::post().uri("/oauth2/token").insert_header(("x-forwarded-for", "10.0.0.1, 203.0.113.9"));
    let (_, log) = exchange("server.trusted_proxies = [\"127.0.0.1\"]", &Arc::default(), vec![request]).await;
    assert!(log.contains("peer=203.0.113.9"), "{log}");
    for unreadable in [&b"203.0.113.9, unknown"[..], b"203.0.113.9\xff", b"203.0.113.9,"] {
        let request = TestRequest::post()
            .uri("/oauth2/token")
            .insert_header(("x-forwarded-for", HeaderValue::from_bytes(unreadable).unwrap()));
        let (_, log) =
            exchange("server.trusted_proxies = [\"127.0.0.1\"]", &Arc::default(), vec![request]).await;
        assert!(log.contains("peer=unknown"), "{log}");
    }
}

#[tokio::test]
async fn lines_of_handlers_carry_the_request_id_even_if_request_lines_are_turned_off() {
    let requests = vec![TestRequest::post().uri("/oauth2/token")];
    let (replies, log) = exchange("log.level = \"warn,mintmark::http=off\"", &Arc::default(), requests).await;
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("from the handler") && log.contains(&replies[0].id), "{log}");
}

#[tokio::test]
async fn probes_are_logged_at_debug_unless_something_is_wrong() {
    let requests = || vec![TestRequest::get().uri("/healthz"), TestRequest::get().uri("/readyz")];
    let (_, log) = exchange("", &Arc::default(), requests()).await;
    assert!(!log.contains("/healthz") && log.contains("/readyz") && log.contains("status=503"), "{log}");
    let (_, log) = exchange("log.level = \"debug\"", &Arc::default(), requests()).await;
    assert!(log.contains("/healthz"), "{log}");
}

#[tokio::test]
async fn requests_are_counted_by_pattern_method_and_status() {
    let metrics = Arc::new(Metrics::new());
    // The first two paths look like patterns: one is that of a route, the other of none.
    let mut requests =
        vec![TestRequest::get().uri("/v1/products/{product}"), TestRequest::get().uri("/%7Bx%7D")];
    requests.extend((0..3).map(|n| TestRequest::get().uri(&format!("/v1/products/p{n}?x={n}"))));
    requests.extend((0..4).map(|n| TestRequest::get().uri(&format!("/none/{n}"))));
    requests.extend((0..2).map(|_| TestRequest::post().uri("/oauth2/token")));
    requests.extend(["BREW", "WHEN"].map(|method| {
        TestRequest::default().method(Method::from_bytes(method.as_bytes()).unwrap()).uri("/oauth2/token")
    }));
    requests.push(TestRequest::get().uri("/fails"));
    exchange("log.level = \"off\"", &metrics, requests).await;
    let text = metrics.encode();
    for (route, method, status, n) in [
        ("/v1/products/{product}", "GET", 204, 4),
        ("unmatched", "GET", 404, 5),
        ("/oauth2/token", "POST", 200, 2),
        ("/oauth2/token", "other", 404, 2),
        ("/fails", "GET", 418, 1),
    ] {
        let line = format!(
            "mintmark_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {n}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    assert_eq!(text.matches("mintmark_http_requests_total{").count(), 5, "{text}");
    let durations = "mintmark_http_request_duration_seconds_count{route=\"/oauth2/token\"} 4\n";
    assert!(text.contains(durations), "{text}");
}

#[tokio::test]
async fn workers_do_not_repeat_each_others_ids() {
    let telemetry = Telemetry::new(Arc::default(), TrustedProxies::default(), [1; 16]);
    let seen = Mutex::new(HashSet::new());
    for _ in 0..3 {
        let worker = init_service(App::new().wrap(telemetry.clone())).await;
        for _ in 0..3 {
            let response = try_call_service(&worker, TestRequest::get().to_request()).await.unwrap();
            assert!(seen.lock().unwrap().insert(response.headers().get(X_REQUEST_ID).unwrap().clone()));
        }
    }
}
