//! The metrics that are read from the services at each request to `/metrics`.

use std::sync::Arc;

use crate::model::key::Phase;
use crate::services::Services;
use crate::telemetry::metrics::Metrics;

pub(super) fn register(metrics: &Metrics, services: &Arc<Services>) {
    let source = Arc::clone(services);
    metrics.gauge_read_by("cached_clients", "API clients in the cache", move || {
        i64::try_from(source.clients.cached()).unwrap_or(i64::MAX)
    });
    let source = Arc::clone(services);
    metrics.gauge_read_by(
        "change_counter_age_milliseconds",
        "Milliseconds since the change counter was last confirmed; above 5000 requests are refused",
        move || source.ledger.confirmed_millis_ago(),
    );
    let source = Arc::clone(services);
    metrics.gauge_read_by("tokens_being_recorded", "Tokens waiting for their commit", move || {
        i64::try_from(source.tokens.tokens_being_recorded()).unwrap_or(i64::MAX)
    });
    let source = Arc::clone(services);
    metrics.counter_read_by("recorded_tokens", "Tokens recorded by the token endpoint", move || {
        source.tokens.recorded_tokens_and_commits().0
    });
    let source = Arc::clone(services);
    metrics.counter_read_by(
        "recorded_token_commits",
        "Commits of recorded tokens; tokens requested at the same time share one",
        move || source.tokens.recorded_tokens_and_commits().1,
    );
    let lists = Arc::clone(&services.status_lists);
    metrics.counter_read_by("status_lists_read", "Status lists read from the database", move || {
        lists.read_and_signed().0
    });
    let lists = Arc::clone(&services.status_lists);
    metrics.counter_read_by(
        "status_lists_signed",
        "Status lists signed; all other responses came from the cache",
        move || lists.read_and_signed().1,
    );
    let (ring, clock) = (Arc::clone(&services.ring), Arc::clone(services.clock()));
    metrics.gauges_read_by("signing_keys", "Published signing keys by phase", ["phase"], move || {
        let now = clock.now();
        let count =
            |phase: Phase| ([phase.as_str()], i64::try_from(ring.count(phase, now)).unwrap_or(i64::MAX));
        [Phase::Pending, Phase::Active, Phase::Retiring].map(count).to_vec()
    });
}
