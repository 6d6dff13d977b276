//! The figures at `/metrics` that are read from the services when they are asked for.

use std::sync::Arc;

use crate::model::key::Phase;
use crate::services::Services;
use crate::telemetry::metrics::Metrics;

pub(super) fn register(metrics: &Metrics, services: &Arc<Services>) {
    let read = Arc::clone(services);
    metrics.gauge_read_by("cached_clients", "API clients held in memory", move || {
        i64::try_from(read.clients.cached()).unwrap_or(i64::MAX)
    });
    let read = Arc::clone(services);
    metrics.gauge_read_by(
        "change_counter_age_milliseconds",
        "Milliseconds since the change counter was last confirmed; above 5000 answers are refused",
        move || read.ledger.confirmed_millis_ago(),
    );
    let read = Arc::clone(services);
    metrics.gauge_read_by("tokens_being_recorded", "Tokens that wait for their commit", move || {
        i64::try_from(read.tokens.tokens_being_recorded()).unwrap_or(i64::MAX)
    });
    let read = Arc::clone(services);
    metrics.counter_read_by("recorded_tokens", "Tokens put on record at the token endpoint", move || {
        read.tokens.recorded_tokens_and_commits().0
    });
    let read = Arc::clone(services);
    metrics.counter_read_by(
        "recorded_token_commits",
        "Durable commits that these took; tokens asked for at the same time share one",
        move || read.tokens.recorded_tokens_and_commits().1,
    );
    let lists = Arc::clone(&services.status_lists);
    metrics.counter_read_by("status_lists_read", "Status lists read from the database", move || {
        lists.read_and_signed().0
    });
    let lists = Arc::clone(&services.status_lists);
    metrics.counter_read_by(
        "status_lists_signed",
        "Status lists signed; every other reply came from memory",
        move || lists.read_and_signed().1,
    );
    let ring = Arc::clone(&services.ring);
    metrics.gauges_read_by("signing_keys", "Published signing keys by phase", ["phase"], move || {
        let count = |phase: Phase| ([phase.as_str()], i64::try_from(ring.count(phase)).unwrap_or(i64::MAX));
        [Phase::Pending, Phase::Active, Phase::Retiring].map(count).to_vec()
    });
}
