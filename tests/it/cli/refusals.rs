//! The log lines about clients that cannot authenticate: one line for each failure up to the limit of failures. At most one a
//! second for failures beyond it, and for secrets that were cut or mistyped, which have no limit.

use std::time::Instant;

use serde_json::Value;

use super::process::{Place, client};
use crate::support::Engine;

const GRANT: &str = "grant_type=client_credentials";

/// How many log lines have this reason and message, and how many failures they count in total.
fn logged(log: &str, reason: &str, message: &str) -> (usize, u64) {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> =
        lines.filter(|line| line["reason"] == reason && line["message"] == message).collect();
    for line in &lines {
        assert!(line["source"].as_str() == Some("127.0.0.1") && line["client_id"].is_string(), "{line}");
    }
    (lines.len(), lines.iter().map(|line| line["count"].as_u64().unwrap()).sum())
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the server limits its lines by its own clock, so the test measures how long it ran"
)]
async fn failed_authentications_beyond_the_limit_share_log_lines() {
    let place = Place::new(Engine::Sqlite);
    let serving = place.serve();
    let started = Instant::now();
    let statuses = async |secret: &str| {
        let mut statuses = Vec::new();
        for _ in 0..150 {
            let form = format!("{GRANT}&client_id=cl_0000000000000000000000&client_secret={secret}");
            let request = client().post(format!("{}/oauth2/token", serving.base)).body(form);
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            statuses.push(request.send().await.unwrap().status().as_u16());
        }
        statuses
    };
    // Malformed secrets do not count towards the limit of failures.
    let malformed = statuses("mms_cut").await;
    assert!(malformed.iter().all(|status| *status == 401), "{malformed:?}");
    let wrong = statuses("wrong").await;
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    // Sixty failures are allowed at once, and then one more each second.
    let counted = wrong.iter().filter(|status| **status == 401).count();
    assert!((60..140).contains(&counted), "{wrong:?}");

    let log = serving.stop().stderr;
    let message = "client authentication failed: the credentials are malformed";
    let (lines, events) = logged(&log, "secret_of_wrong_length", message);
    assert!(
        (1..=seconds).contains(&lines) && events <= 150,
        "{lines} lines for {events} failures in {seconds} s"
    );
    // Each refusal that was not throttled has its own line.
    assert_eq!(logged(&log, "not_a_client_secret", "client authentication failed").0, counted);
    let (lines, events) = logged(&log, "not_a_client_secret", "client authentication failed too often");
    assert!((1..=seconds).contains(&lines), "{lines} lines in {seconds} s");
    assert!(events >= 1 && events <= 150 - counted as u64, "{events}");
    assert!(!log.contains("mms_cut"), "{log}");
}
