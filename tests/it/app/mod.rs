//! The server as a whole: how it listens and stops, whether it can serve, and what a full disk, a hung database and a wrong
//! clock do to it.

mod clocks;
mod drain;
mod faults;
mod hanging;
mod listeners;
mod metrics;
mod writing;

use serde_json::Value;

use crate::support::{Reply, TestApp};

/// The status of `/readyz` now, and the detail of its storage check.
async fn ready(app: &TestApp) -> (u16, Value) {
    let reply = Reply::of(app.get("/readyz").await).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    (reply.status, reply.json()["checks"]["storage"]["detail"].clone())
}

/// The value of a metric without labels.
fn metric(app: &TestApp, name: &str) -> f64 {
    let text = app.metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).parse().unwrap()
}
