//! `/metrics` in both text formats, by the conventions of Prometheus, with the figures that an operator needs in an incident.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use crate::support::{Engine, Reply, TestApp, on_both_engines};

on_both_engines!(metrics_for_an_incident_are_there, each_scraper_gets_the_format_it_asks_for);

async fn scraped(app: &TestApp, accept: &str) -> Reply {
    Reply::to(app.request(Method::GET, "/metrics").header("accept", accept)).await
}

/// Checks that each series of a histogram has the bucket without an upper bound, which both formats require.
fn every_series_ends_with_infinity(text: &str) {
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let series = text.lines().filter(|line| name(line).ends_with("_count")).count();
    let endless = text.lines().filter(|line| line.contains("le=\"+Inf\"")).count();
    assert!(series > 0 && endless == series, "{series} series, {endless} with +Inf: {text}");
}

/// Checks the form of the text and the names of the metrics. Returns the type of each metric by name.
/// `tests/interop/test_metrics.py` has the text checked by `promtool`.
fn checked(text: &str) -> BTreeMap<&str, &str> {
    every_series_ends_with_infinity(text);
    let mut types = BTreeMap::new();
    let mut helped = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty(), "{line}");
            helped = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped, name, "each type follows its help");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            for unit in ["_milliseconds", "_micros", "_minutes", "_kilobytes", "_count", "_bucket", "_sum"] {
                assert!(!name.ends_with(unit), "{line}");
            }
            assert_eq!(types.insert(name, kind), None, "{line}");
        } else {
            assert!(!line.starts_with('#'), "{line}");
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(types.contains_key(name) || base.is_some_and(|base| types.contains_key(base)), "{line}");
        }
    }
    types
}

/// Checks the form of OpenMetrics 1.0: how samples are named after their metric, its unit, and the end.
fn checked_openmetrics(text: &str) {
    let text = text.strip_suffix("# EOF\n").expect("the last line is # EOF");
    let (mut types, mut units, mut samples) = (BTreeMap::new(), 0, 0);
    let mut current = ("", "");
    for line in text.lines() {
        let comment = line.strip_prefix("# ").map(|comment| comment.split_once(' ').unwrap());
        match comment.map(|(keyword, rest)| (keyword, rest.split_once(' ').unwrap())) {
            Some(("HELP", (_, help))) => assert!(!help.is_empty(), "{line}"),
            Some(("TYPE", (name, kind))) => {
                assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
                let reserved = ["_total", "_info", "_bucket", "_count", "_sum"];
                assert!(!reserved.iter().any(|end| name.ends_with(end)), "{line}");
                assert_eq!(types.insert(name, kind), None, "{line}");
                current = (name, kind);
            }
            Some(("UNIT", (name, unit))) => {
                assert!(name == current.0 && name.ends_with(&format!("_{unit}")), "{line}");
                units += 1;
            }
            Some(_) => panic!("{line}"),
            None => {
                let name = line.split(['{', ' ']).next().unwrap();
                let end = name.strip_prefix(current.0).expect("samples follow the type of their metric");
                let ends: &[&str] = match current.1 {
                    "counter" => &["_total"],
                    "info" => &["_info"],
                    "histogram" => &["_bucket", "_count", "_sum"],
                    _ => &[""],
                };
                assert!(ends.contains(&end), "{line}");
                samples += 1;
            }
        }
    }
    every_series_ends_with_infinity(text);
    assert!(types.len() > 20 && units > 0 && samples > types.len(), "{text}");
}

async fn metrics_for_an_incident_are_there(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, made) = admin.client("platform", json!({"products": ["gst"]})).await;
    app.access_token(&client, &[]).await;
    app.access_token(&client, &[]).await;
    let secrets = format!("/v1/api-clients/{}/secrets", made["client_id"].as_str().unwrap());
    // The clock starts on 2026-09-21, so one of these ends within 7 days, and two within 30.
    for ends in ["2026-09-27T00:00:00Z", "2026-10-20T00:00:00Z", "2027-10-20T00:00:00Z"] {
        admin.create(&secrets, &json!({"expires_at": ends})).await;
    }
    // Nothing else is written for a minute, while jobs make the process beat every five seconds.
    for _ in 0..12 {
        app.clock.advance(5);
        app.core.services.ledger.beat().await.unwrap();
    }
    let text = scraped(&app, "*/*").await.text();
    let types = checked(&text);
    for name in [
        "mintmark_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "mintmark_http_requests_total",
        "mintmark_http_request_duration_seconds",
        "mintmark_tokens_total",
        "mintmark_signing_seconds",
        "mintmark_db_seconds",
        "mintmark_db_pool_connections",
        "mintmark_db_retries_total",
        "mintmark_db_write_failures_total",
        "mintmark_credential_cache_hits_total",
        "mintmark_credential_cache_misses_total",
        "mintmark_signing_key_age_seconds",
        "mintmark_outbox_oldest_seconds",
        "mintmark_outbox_dead",
        "mintmark_secrets_expiring",
        "mintmark_log_lines_dropped_total",
        "mintmark_backup_last_success_timestamp_seconds",
        "mintmark_clock_skew_seconds",
        "mintmark_change_poll_age_seconds",
        "mintmark_status_lists_read_total",
        "mintmark_status_lists_signed_total",
    ] {
        assert!(types.contains_key(name), "{name} is missing:\n{text}");
    }
    let value = |sample: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{sample} ")));
        line.unwrap_or_else(|| panic!("{sample} is missing:\n{text}")).parse().unwrap()
    };
    for (sample, expected) in [
        ("mintmark_secrets_expiring{within=\"7d\"}", 1.0),
        ("mintmark_secrets_expiring{within=\"30d\"}", 2.0),
        ("mintmark_signing_key_age_seconds{use_for=\"expiring\"}", 60.0),
        ("mintmark_signing_key_age_seconds{use_for=\"never_expiring\"}", 60.0),
        // The token of `admin`, and the two of `client`.
        ("mintmark_signing_seconds_count{alg=\"ES256\"}", 3.0),
        ("mintmark_db_retries_total{operation=\"record_tokens\"}", 0.0),
        ("mintmark_clock_skew_seconds", 0.0),
    ] {
        assert!((value(sample) - expected).abs() < 0.001, "{sample} is {}", value(sample));
    }
    for some in [
        "mintmark_credential_cache_hits_total",
        "mintmark_credential_cache_misses_total",
        "mintmark_db_seconds_count{operation=\"begin\"}",
        "mintmark_db_seconds_count{operation=\"commit\"}",
        "mintmark_db_pool_connections{state=\"idle\"}",
        "process_open_fds",
    ] {
        assert!(value(some) >= 1.0, "{some} is {}", value(some));
    }
    app.stop().await;
}

async fn each_scraper_gets_the_format_it_asks_for(engine: Engine) {
    let app = TestApp::start(engine).await;
    let prometheus = "text/plain; version=0.0.4; charset=utf-8";
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, expected) in [
        ("*/*", prometheus),
        ("text/plain;version=0.0.4", prometheus),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", openmetrics),
        ("application/openmetrics-text;Q=0.1, text/plain", prometheus),
    ] {
        let reply = scraped(&app, accept).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(expected)), "{accept}");
        assert!(reply.header("vary").unwrap().to_ascii_lowercase().contains("accept"));
        if expected == prometheus {
            checked(&reply.text());
        } else {
            checked_openmetrics(&reply.text());
        }
    }
    app.stop().await;
}
