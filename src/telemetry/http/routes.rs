//! Which route answered, and its counters: the label is the pattern, resolved once and kept for each worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::telemetry::metrics::Metrics;

/// The route label of a request that no route matched.
const UNMATCHED: &str = "unmatched";

/// Routes that machines request every few seconds, also below the path of the issuer: their lines are logged at `debug` unless
/// something is wrong.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The routes that a worker has seen. Their number is bounded, since each is a pattern of the app or [`UNMATCHED`].
#[derive(Debug)]
pub(super) struct Routes {
    metrics: Arc<Metrics>,
    known: RefCell<HashMap<String, Rc<Route>>>,
}

impl Routes {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, known: RefCell::default() }
    }

    /// Finds a route without parameters by its path, without matching patterns.
    pub(super) fn of_path(&self, path: &str) -> Option<Rc<Route>> {
        // A path may look like a pattern without being one.
        if path.contains('{') {
            return None;
        }
        self.known.borrow().get(path).cloned()
    }

    pub(super) fn of_pattern(&self, pattern: Option<String>) -> Rc<Route> {
        let pattern = pattern.unwrap_or_else(|| UNMATCHED.to_owned());
        if let Some(route) = self.known.borrow().get(&pattern) {
            return Rc::clone(route);
        }
        let route = Rc::new(Route {
            pattern: pattern.as_str().into(),
            is_probe: PROBES.iter().any(|probe| pattern.ends_with(probe)),
            durations: self.metrics.durations(&pattern),
            requests: RefCell::default(),
        });
        self.known.borrow_mut().insert(pattern, Rc::clone(&route));
        route
    }

    /// Counts a request that `route` answered with `status` after `took`.
    pub(super) fn count(&self, route: &Route, method: &'static str, status: u16, took: Duration) {
        route.durations.observe(took.as_secs_f64());
        let mut requests = route.requests.borrow_mut();
        if let Some((.., counter)) = requests.iter().find(|(m, s, _)| *s == status && *m == method) {
            counter.inc();
        } else {
            let counter = self.metrics.requests(&route.pattern, method, status);
            counter.inc();
            requests.push((method, status, counter));
        }
    }
}

/// The handles of one route, so that counting takes no look-up by label.
#[derive(Debug)]
pub(super) struct Route {
    pattern: Box<str>,
    is_probe: bool,
    durations: Histogram,
    requests: RefCell<Vec<(&'static str, u16, Counter)>>,
}

impl Route {
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    pub(super) fn is_probe(&self) -> bool {
        self.is_probe
    }
}
