//! The metrics at `/metrics` (Prometheus text, or OpenMetrics on request): requests, tokens, the process, and the
//! figures that `app::gauges` registers.
//!
//! Labels take only values that this program defines: route patterns, known methods, outcomes. Nothing a caller sends
//! becomes a label. Each app has a separate registry, so that two in one process do not add up.

mod collectors;
mod process;
mod prometheus;

use std::sync::{Mutex, PoisonError};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::model::histogram::Counted;
use collectors::{Collected, CountedBy, CountedOnce, Durations, Read, Seconds};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the buckets in seconds: from issuing a token (tens of microseconds) to a dependency that hangs.
const BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The outcome of a token request: `issued`, the error code of the response (RFC 6749 §5.2, RFC 8707 §2), `throttled` or
/// `unavailable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 6749 §5.2 and RFC 8707 §2")]
pub enum TokenOutcome {
    /// A token was issued.
    Issued,
    InvalidRequest,
    InvalidClient,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    /// 429: too many failed attempts with a client id from one network.
    Throttled,
    /// 503: for example, the database does not answer, or there is no key to sign with.
    Unavailable,
}

impl TokenOutcome {
    /// Every outcome.
    pub const ALL: [Self; 9] = [
        Self::Issued,
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::Throttled,
        Self::Unavailable,
    ];

    /// The value of the label `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// The metrics of one app.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    // Resolved once: counting a token is one addition.
    tokens: [Counter; TokenOutcome::ALL.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet. All token outcomes are present with 0 from the start, so that rates can be computed.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("mintmark");
        let requests = Family::default();
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let outcomes = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let tokens =
            TokenOutcome::ALL.map(|outcome| outcomes.get_or_create_owned(&[("outcome", outcome.as_str())]));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that is running", build);
        registry.register(
            "http_requests",
            "Requests answered, by route pattern, method and status",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its response, by route pattern",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("tokens", "Token requests by outcome", outcomes);
        Self { registry: Mutex::new(registry), requests, durations, tokens }
    }

    /// Counts a token request.
    pub fn token(&self, outcome: TokenOutcome) {
        if let Some(counter) = self.tokens.get(outcome as usize) {
            counter.inc();
        }
    }

    /// How many token requests had this outcome since the start.
    pub fn tokens(&self, outcome: TokenOutcome) -> u64 {
        self.tokens.get(outcome as usize).map_or(0, Counter::get)
    }

    pub(super) fn requests(&self, route: &str, method: &'static str, status: u16) -> Counter {
        self.requests.get_or_create_owned(&RequestLabels { route: route.to_owned(), method, status })
    }

    pub(super) fn durations(&self, route: &str) -> Histogram {
        self.durations.get_or_create_owned(&RouteLabels { route: route.to_owned() })
    }

    /// Adds the counter `mintmark_<name>_total`, which `read` returns at each request for the metrics. `read` must neither
    /// block nor return less than before. `help` is one line without a full stop.
    pub fn counter_read_by(&self, name: &str, help: &str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        let help = format!("{help}.");
        let collected = CountedOnce { name: name.to_owned(), help, read: Box::new(read) };
        self.registry().register_collector(Box::new(collected));
    }

    /// Adds the gauge `mintmark_<name>`, which `read` returns at each request for the metrics. `read` must not block.
    pub fn gauge_read_by(&self, name: &str, help: &str, read: impl Fn() -> i64 + Send + Sync + 'static) {
        let read = move || vec![(Vec::new(), read())];
        self.collect(name, help, Box::new(read));
    }

    /// Adds the gauge `mintmark_<name>` with labels: `read` returns one value for each combination of label values.
    pub fn gauges_read_by<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        read: impl Fn() -> Vec<([&'static str; N], i64)> + Send + Sync + 'static,
    ) {
        let with_names = move |(values, value): ([&'static str; N], i64)| {
            (labels.into_iter().zip(values).collect::<Vec<_>>(), value)
        };
        self.collect(name, help, Box::new(move || read().into_iter().map(with_names).collect()));
    }

    /// Adds the gauge `mintmark_<name>_seconds`, of which `read` returns milliseconds.
    pub fn seconds_read_by(&self, name: &str, help: &str, read: impl Fn() -> i64 + Send + Sync + 'static) {
        let collected = Seconds { name: name.to_owned(), help: format!("{help}."), read: Box::new(read) };
        self.registry().register_collector(Box::new(collected));
    }

    /// Adds the histogram `mintmark_<name>_seconds` with a label, of which `read` returns what was counted for each value.
    pub fn histograms_read_by(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, Counted)> + Send + Sync + 'static,
    ) {
        let help = format!("{help}.");
        let collected = Durations { name: name.to_owned(), help, label, read: Box::new(read) };
        self.registry().register_collector(Box::new(collected));
    }

    /// Adds the counter `mintmark_<name>_total` with a label, of which `read` returns the count for each value.
    pub fn counters_read_by(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        let help = format!("{help}.");
        let collected = CountedBy { name: name.to_owned(), help, label, read: Box::new(read) };
        self.registry().register_collector(Box::new(collected));
    }

    fn collect(&self, name: &str, help: &str, read: Read) {
        let collected = Collected { name: name.to_owned(), help: format!("{help}."), read };
        self.registry().register_collector(Box::new(collected));
    }

    /// All metrics as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(4096);
        if let Err(why) = prometheus_client::encoding::text::encode(&mut text, &self.registry()) {
            tracing::error!(target: "mintmark::metrics", %why, "the metrics could not be encoded");
        }
        // The metrics of the process have names without our prefix.
        let end = text.strip_suffix(END).map_or(text.len(), str::len);
        text.truncate(end);
        process::write(&mut text);
        text.push_str(END);
        text
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last line of OpenMetrics.
const END: &str = "# EOF\n";

/// `GET /metrics`
pub async fn get(request: HttpRequest, metrics: web::Data<Metrics>) -> HttpResponse {
    let accept = request.headers().get_all(header::ACCEPT).filter_map(|line| line.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "accept"));
    if prometheus::prefers_openmetrics(&accept) {
        response.content_type(CONTENT_TYPE).body(metrics.encode())
    } else {
        let text = prometheus::from_openmetrics(&metrics.encode());
        response.content_type(prometheus::CONTENT_TYPE).body(text)
    }
}

/// How many files this process may have open (soft limit), and up to how many it may raise that (hard limit). `None` if the
/// system does not say.
fn max_open_files() -> Option<(f64, f64)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_ascii_whitespace().map(|limit| limit.parse().unwrap_or(f64::INFINITY));
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_present_from_the_start_and_counted_as_itself() {
        let metrics = Metrics::new();
        for (n, outcome) in (0..).zip(TokenOutcome::ALL) {
            assert_eq!(metrics.tokens(outcome), 0);
            for _ in 0..n {
                metrics.token(outcome);
            }
        }
        let text = metrics.encode();
        for (n, outcome) in (0..).zip(TokenOutcome::ALL) {
            let line = format!("mintmark_tokens_total{{outcome=\"{}\"}} {n}\n", outcome.as_str());
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn the_text_is_openmetrics() {
        let metrics = Metrics::new();
        metrics.requests("/oauth2/token", "POST", 200).inc();
        metrics.durations("/oauth2/token").observe(0.000_3);
        let text = metrics.encode();
        assert!(text.contains("# TYPE mintmark_http_requests counter\n"), "{text}");
        assert!(
            text.contains(
                "mintmark_http_requests_total{route=\"/oauth2/token\",method=\"POST\",status=\"200\"} 1\n"
            ),
            "{text}"
        );
        let bucket =
            "mintmark_http_request_duration_seconds_bucket{le=\"0.0005\",route=\"/oauth2/token\"} 1\n";
        assert!(text.contains(bucket), "{text}");
        assert!(
            text.contains(&format!("mintmark_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION")))
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn registered_figures_are_read_at_each_request() {
        let metrics = Metrics::new();
        let size = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1));
        let shared = std::sync::Arc::clone(&size);
        metrics.gauge_read_by("cached_clients", "Clients held in memory", move || {
            shared.load(std::sync::atomic::Ordering::Relaxed)
        });
        metrics.gauges_read_by("signing_keys", "Signing keys by phase", ["phase", "alg"], || {
            vec![(["active", "ES256"], 2), (["pending", "EdDSA"], 1)]
        });
        size.store(5, std::sync::atomic::Ordering::Relaxed);
        metrics.counter_read_by("commits", "Commits", || 9);
        let text = metrics.encode();
        for line in [
            "# TYPE mintmark_commits counter\n",
            "mintmark_commits_total 9\n",
            "# HELP mintmark_cached_clients Clients held in memory.\n",
            "# TYPE mintmark_cached_clients gauge\n",
            "mintmark_cached_clients 5\n",
            "mintmark_signing_keys{phase=\"active\",alg=\"ES256\"} 2\n",
            "mintmark_signing_keys{phase=\"pending\",alg=\"EdDSA\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn two_apps_do_not_add_up() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.token(TokenOutcome::Issued);
        assert_eq!((one.tokens(TokenOutcome::Issued), other.tokens(TokenOutcome::Issued)), (1, 0));
    }
}
