//! The mail server is down for an hour and comes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{mail, queue, states};
use crate::support::{Answer, Engine, Heard, MailServer, TestApp, on_both_engines};

on_both_engines!(a_backlog_drains_without_overrunning_the_server);

const MAILS: usize = 400;

async fn a_backlog_drains_without_overrunning_the_server(engine: Engine) {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let server = MailServer::scripted(move |heard| match heard {
        Heard::Connection if !up.load(Ordering::SeqCst) => Answer::Close,
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    let storage = app.database.open().await;
    // In each minute some mails are queued, and the worker tries those that are due.
    for minute in 0..60 {
        let first = minute * MAILS / 60;
        let last = (minute + 1) * MAILS / 60;
        queue(&storage, (first..last).map(|number| mail(number, &format!("{number}@acme.example")))).await;
        for _ in 0..6 {
            app.worker.run_once().await.unwrap();
            app.clock.advance(10);
        }
    }
    assert_eq!(server.recipients(), [""; 0]);
    let attempts = app.database.number("SELECT MAX(attempts) FROM deliveries").await;
    assert!((4..=5).contains(&attempts), "{attempts} attempts in an hour");
    let (connections_before, _) = server.connections();

    is_up.store(true, Ordering::SeqCst);
    let mut a_minute = Vec::new();
    while states(&app).await.iter().any(|state| state.starts_with("waits")) {
        let before = server.received().len();
        for _ in 0..60 {
            // One host gets at most 50 mails at once.
            let second = server.received().len();
            app.worker.run_once().await.unwrap();
            assert!(server.received().len() - second <= 50);
            app.clock.advance(1);
        }
        a_minute.push(server.received().len() - before);
        assert!(a_minute.len() < 240, "{a_minute:?}");
    }
    // The mails that failed together are not all tried again together.
    assert!(a_minute.len() > 20 && a_minute.iter().all(|mails| *mails < MAILS / 4), "{a_minute:?}");
    let mut times: HashMap<String, usize> = HashMap::new();
    for recipient in server.recipients() {
        *times.entry(recipient).or_default() += 1;
    }
    assert_eq!(times.len(), MAILS);
    assert!(times.values().all(|times| *times == 1));
    let (connections, at_once) = server.connections();
    assert!(at_once <= 2, "{at_once} at once");
    assert!(connections - connections_before < MAILS, "a connection is used for several mails");
}
