//! The server is killed (SIGKILL) again and again while it adds the events of an earlier version to the audit tree: within a
//! transaction, or between two. Each time the next process continues. In the end each event has one number, there are no gaps,
//! and `mintmark audit verify` reports no finding.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::process::{Place, text};
use crate::support::{Engine, Random, on_both_engines, until};

on_both_engines!(an_import_that_is_killed_is_continued);

/// How many events of an earlier version there are.
const OLD: usize = 12_000;
const KILLS: usize = 5;
/// How many events the server numbers in one transaction.
const STEP: usize = 1_000;
/// The environment variable with the seed of a run, to repeat it.
const SEED: &str = "AUDIT_KILLS_SEED";

async fn an_import_that_is_killed_is_continued(engine: Engine) {
    let mut random = Random::seeded(SEED);
    let seed = random.seed;
    let place = Place::with_issuer(engine);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    let session = Mutex::new(place.session().await);
    let number = async |sql: &str| session.lock().await.number(sql).await;
    let recorded = number("SELECT COUNT(*) FROM audit_events").await;
    session.lock().await.forget_audit_tree(OLD).await;
    let old = i64::try_from(OLD).unwrap() + recorded;
    let size = async || number("SELECT size FROM audit_trees").await;
    // As if the lease of the killed process had ended.
    let time_passes = async || session.lock().await.execute("UPDATE audit_upkeep SET lease_until = 0").await;
    let mut killed_midway = 0;
    for kill in 0..KILLS {
        // A new event is numbered after the old ones.
        place.run(&["products", "create", &format!("new-{kill}"), "--name", "New"]).must_succeed();
        time_passes().await;
        let from = size().await;
        let target = (from + i64::try_from(random.below(2 * STEP)).unwrap()).min(old);
        let mut running = place.start(&["serve"]);
        until("this number of events is numbered", async || size().await >= target).await;
        // The kill comes at a random moment of the next transaction, which takes some milliseconds.
        for _ in 0..random.below(2_000) {
            tokio::task::yield_now().await;
        }
        assert!(!running.has_ended(), "seed {seed}: {}", running.stderr.text());
        drop(running);
        let reached = size().await;
        println!("killed at {reached} of {old}");
        killed_midway += usize::from(reached < old);
    }
    assert!(killed_midway > 0, "seed {seed}: the import had ended before the first kill");
    time_passes().await;
    let serving = place.serve();
    let all = old + i64::try_from(KILLS).unwrap();
    until("all events are numbered", async || size().await == all).await;
    let signed = "SELECT COUNT(*) FROM audit_checkpoints";
    until("a checkpoint is signed", async || number(signed).await > 0).await;
    assert_eq!(serving.stop().code, 0);

    for (what, expected) in [
        ("COUNT(*)", all),
        ("COUNT(seq)", all),
        ("COUNT(DISTINCT seq)", all),
        ("MIN(seq)", 0),
        ("MAX(seq)", all - 1),
    ] {
        let found = number(&format!("SELECT {what} FROM audit_events")).await;
        assert_eq!(found, expected, "seed {seed}: {what}");
    }
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!(found["findings"], json!([]), "seed {seed}");
    let log = &found["logs"][0];
    assert_eq!((&log["entries"], &log["imported"], &log["covered"]), (&json!(all), &json!(old), &json!(all)));
    let exported = place.run(&["audit", "export"]).must_succeed().stdout;
    let ids = exported.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let entry: Value = serde_json::from_str(text(&event, "entry")).unwrap();
        assert_eq!(entry["event_id"], event["event_id"], "seed {seed}");
        text(&entry, "event_id").to_owned()
    });
    assert_eq!(ids.collect::<BTreeSet<_>>().len(), usize::try_from(all).unwrap(), "seed {seed}");
}
