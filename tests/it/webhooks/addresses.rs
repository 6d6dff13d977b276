//! Nothing is sent to internal addresses. A webhook may be created with any host name. The addresses that the name resolves to
//! are checked when something is sent.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mintmark::outbound::{Resolver, Resolving};
use serde_json::json;

use super::receiver::{Receiver, Reply};
use super::{deliveries, worker};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(a_name_with_an_internal_address_gets_nothing, a_name_that_changes_its_address_gains_nothing);

/// A resolver that gives the next answer each time it is asked, and repeats the last one.
#[derive(Debug)]
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: AtomicUsize::new(0),
        })
    }

    fn set(&self, address: &str) {
        *self.answers.lock().unwrap() = VecDeque::from([vec![address.parse().unwrap()]]);
    }
}

impl Resolver for Names {
    fn resolve(&self, _: String) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(next.unwrap_or_default()) })
    }
}

async fn a_name_with_an_internal_address_gets_nothing(engine: Engine) {
    let names = Names::new(&[&["127.0.0.1"]]);
    let app = TestApp::start_resolving(engine, "", names.clone()).await;
    let admin = app.administrator().await;
    let inside = Receiver::start(Reply::status(200));
    let worker = worker(&app);
    for (number, address) in [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ]
    .into_iter()
    .enumerate()
    {
        names.set(address);
        let workspace = format!("w{number}");
        admin.workspace(&workspace, json!({})).await;
        let hook = super::webhook_to(&admin, &workspace, &inside.url("hooks.example.com")).await;
        worker.run_once().await.unwrap();
        let queued = &deliveries(&app, &hook).await[0];
        assert_eq!(queued.last_error.as_deref(), Some("address not allowed"), "{address}");
        assert_eq!((queued.last_status, queued.dead_at.is_some()), (None, true), "{address}");
    }
    assert_eq!(inside.got().len(), 0);
    app.stop().await;
}

async fn a_name_that_changes_its_address_gains_nothing(engine: Engine) {
    // The name first has an address that the setting allows, and then an internal one that it does not.
    let names = Names::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let app = TestApp::start_resolving(engine, "outbound.allow = [\"127.0.0.2\"]", names.clone()).await;
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let outside = Receiver::start_at("127.0.0.2:0", Reply::status(200));
    let inside = Receiver::start_at(&format!("127.0.0.1:{}", outside.address.port()), Reply::status(200));
    let hook = super::webhook_to(&admin, "acme", &outside.url("rebind.example.com")).await;
    assert_eq!(names.asked.load(Ordering::SeqCst), 0, "the name is not resolved when the webhook is created");
    let worker = worker(&app);
    worker.run_once().await.unwrap();
    assert_eq!(
        (names.asked.load(Ordering::SeqCst), outside.got().len()),
        (1, 1),
        "the address that was checked is the one that is connected to"
    );
    let path = format!("/v1/webhooks/{}", super::id(&hook));
    admin.patch(&path, &json!({"description": "another event"})).await;
    worker.run_once().await.unwrap();
    let queued = &deliveries(&app, &hook).await[1];
    assert_eq!(queued.last_error.as_deref(), Some("address not allowed"));
    assert_eq!((names.asked.load(Ordering::SeqCst), outside.got().len(), inside.got().len()), (2, 1, 0));
    app.stop().await;
}
