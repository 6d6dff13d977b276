//! The server is killed (SIGKILL) again and again while it numbers the events from before the audit trail was a tree, within a
//! step and between two. The next process goes on: in the end each event has one number, without gaps, and the check finds
//! nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::process::{Place, text};
use crate::support::{Engine, Random, on_both_engines, until};

on_both_engines!(a_killed_import_goes_on);

const OLD: usize = 12_000;
const KILLS: usize = 5;
/// How many events are numbered in a transaction.
const STEP: usize = 1_000;
/// An environment variable that repeats a run.
const SEED: &str = "AUDIT_KILLS_SEED";

async fn a_killed_import_goes_on(engine: Engine) {
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
    // Leases of a process that is gone have ended.
    let time_passes = async || session.lock().await.execute("UPDATE audit_upkeep SET lease_until = 0").await;
    let mut in_between = 0;
    for kill in 0..KILLS {
        // A new event waits behind the old ones.
        place.run(&["products", "create", &format!("new-{kill}"), "--name", "New"]).must_succeed();
        time_passes().await;
        let from = size().await;
        let target = (from + i64::try_from(random.below(2 * STEP)).unwrap()).min(old);
        let mut running = place.start(&["serve"]);
        until("so many are numbered", async || size().await >= target).await;
        // At another moment of the next step, which takes some milliseconds.
        for _ in 0..random.below(2_000) {
            tokio::task::yield_now().await;
        }
        assert!(!running.has_ended(), "seed {seed}: {}", running.stderr.text());
        drop(running);
        let reached = size().await;
        println!("killed at {reached} of {old}");
        in_between += usize::from(reached < old);
    }
    assert!(in_between > 0, "seed {seed}: it had ended before the first kill");
    time_passes().await;
    let serving = place.serve();
    let all = old + i64::try_from(KILLS).unwrap();
    until("all are numbered", async || size().await == all).await;
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
    let entered = exported.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let entry: Value = serde_json::from_str(text(&event, "entry")).unwrap();
        assert_eq!(entry["event_id"], event["event_id"], "seed {seed}");
        text(&entry, "event_id").to_owned()
    });
    assert_eq!(entered.collect::<BTreeSet<_>>().len(), usize::try_from(all).unwrap(), "seed {seed}");
}
