//! The metrics that are read from the services at each request to `/metrics`.

use std::sync::Arc;

use crate::model::key::{Phase, UseFor};
use crate::services::Services;
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

pub(super) fn register(metrics: &Metrics, services: &Arc<Services>) {
    register_resources(metrics, services);
    let source = Arc::clone(services);
    metrics.gauge_read_by("cached_clients", "API clients in the cache", move || {
        i64::try_from(source.clients.cached()).unwrap_or(i64::MAX)
    });
    let source = Arc::clone(services);
    metrics.seconds_read_by(
        "change_poll_age",
        "Time since the change counter was last confirmed; above 5 seconds most requests are refused",
        move || source.ledger.confirmed_millis_ago(),
    );
    let source = Arc::clone(services);
    metrics.seconds_read_by(
        "clock_skew",
        "How far this machine's clock is ahead of the database's; beyond 30 seconds in either direction no token is issued",
        move || source.ledger.clock_skew_millis(),
    );
    let source = Arc::clone(services);
    metrics
        .counter_read_by("db_write_failures", "Commits that failed", move || source.ledger.failed_writes());
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

/// What the service depends on: the cache of clients, the database, keys, secrets, deliveries, the log, the backup.
fn register_resources(metrics: &Metrics, services: &Arc<Services>) {
    let source = Arc::clone(services);
    metrics.counter_read_by("credential_cache_hits", "Requests whose client was in the cache", move || {
        source.clients.cache_hits_and_misses().0
    });
    let source = Arc::clone(services);
    metrics.counter_read_by(
        "credential_cache_misses",
        "Requests whose client was read from the database",
        move || source.clients.cache_hits_and_misses().1,
    );
    let source = Arc::clone(services);
    metrics.gauges_read_by("db_pool_connections", "Open connections to the database", ["state"], move || {
        let (used, idle) = source.ledger.connections();
        vec![(["in_use"], used), (["idle"], idle)]
    });
    let source = Arc::clone(services);
    metrics.gauges_read_by(
        "signing_key_age_seconds",
        "How long the active key of the default algorithm has been active",
        ["use_for"],
        move || {
            let now = source.clock().now();
            let age = |class: UseFor| Some(([class.as_str()], now - source.ring.signs_since(class, now)?));
            UseFor::ALL.into_iter().filter_map(age).collect()
        },
    );
    let source = Arc::clone(services);
    metrics.gauges_read_by(
        "secrets_expiring",
        "Client secrets that will expire within this time, counted once a minute",
        ["within"],
        move || {
            let (week, month) = source.ledger.secrets_expiring();
            vec![(["7d"], week), (["30d"], month)]
        },
    );
    let source = Arc::clone(services);
    metrics.gauges_read_by(
        "outbox_oldest_seconds",
        "How long the oldest unsent mail or webhook request has been waiting, 0 if none waits; checked once a minute",
        ["kind"],
        move || source.ledger.backlogs().map(|(channel, age, _)| ([channel.as_str()], age)).to_vec(),
    );
    let source = Arc::clone(services);
    metrics.gauges_read_by(
        "outbox_dead",
        "Mails and webhook requests that were given up in the last 30 days and not resent, counted once a minute",
        ["kind"],
        move || source.ledger.backlogs().map(|(channel, _, dead)| ([channel.as_str()], dead)).to_vec(),
    );
    let source = Arc::clone(services);
    metrics.histograms_read_by("db", "How long operations of the database took", "operation", move || {
        source.ledger.database_timings().into()
    });
    let source = Arc::clone(services);
    metrics.histograms_read_by("signing", "How long signing an access token took", "alg", move || {
        source.ring.signing_timings()
    });
    let source = Arc::clone(services);
    metrics.counters_read_by(
        "db_retries",
        "Transactions that were repeated after a deadlock",
        "operation",
        move || {
            vec![
                ("record_tokens", source.tokens.repeated_groups()),
                ("delete_key", source.signing.repeated_deletions()),
            ]
        },
    );
    metrics.counter_read_by(
        "log_lines_dropped",
        "Log lines that were dropped because they were not read fast enough",
        logs::dropped_lines,
    );
    let source = Arc::clone(services);
    metrics.gauge_read_by(
        "backup_last_success_timestamp_seconds",
        "When `mintmark backup` last copied this SQLite database, in Unix seconds; 0 if it is not known",
        move || source.ledger.last_backup(),
    );
}
