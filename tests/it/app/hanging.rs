//! A database that hangs: requests are answered within seconds, however many wait, and the log distinguishes a database that
//! does not answer from one that refuses.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mintmark::model::clock::ManualClock;

use crate::support::{Engine, START, TestApp, TestDatabase, until};

/// How long forty requests may take together. A poll that hangs fails after a second and a half, and the machine may be busy.
/// If each request in turn waited for its own poll, they would take a minute.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn one_failed_poll_answers_all_waiting_requests() {
    let app = TestApp::start(Engine::Postgres).await;
    let client = app.bootstrap().await;
    app.access_token(&client, &[]).await;
    let mut session = app.database.session().await;
    session.begin().await;
    session.execute("LOCK TABLE change_log IN ACCESS EXCLUSIVE MODE").await;
    // Five seconds after the last answer of the database, requests need a new one.
    app.clock.advance_millis(5_001);
    let replies = join_all((0..40).map(|_| app.token(&client, &[])));
    for reply in tokio::time::timeout(SOON, replies).await.expect("one failed poll answers all") {
        assert_eq!(reply.status(), 503);
        assert!(reply.headers().contains_key("retry-after"));
    }
    session.execute("ROLLBACK").await;
    app.access_token(&client, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_silent_database_is_a_stall_and_one_that_refuses_connections_is_a_refusal() {
    let app = TestApp::start(Engine::Postgres).await;
    let ledger = &app.core.services.ledger;
    let mut session = app.database.session().await;
    session.begin().await;
    session.execute("LOCK TABLE change_log IN ACCESS EXCLUSIVE MODE").await;
    assert_eq!(ledger.poll().await.unwrap_err().kind(), "stall");
    session.execute("ROLLBACK").await;
    drop(session);
    app.database.go_away().await;
    assert_eq!(ledger.poll().await.unwrap_err().kind(), "refusal");
    app.database.come_back().await;
    ledger.poll().await.unwrap();
    app.stop().await;
}

/// As when the machine of the database hangs: open connections stay open, and neither they nor new connections get an answer.
#[tokio::test]
async fn requests_are_answered_soon_while_the_database_server_hangs() {
    let clock = Arc::new(ManualClock::at(START));
    let app = TestApp::start_on(Arc::new(TestDatabase::alone()), clock, "").await;
    let client = app.bootstrap().await;
    app.access_token(&client, &[]).await;
    let frozen = app.database.freeze();
    app.clock.advance_millis(5_001);
    let failed = app.core.services.ledger.poll().await.unwrap_err();
    assert_eq!(failed.kind(), "stall", "{failed}");
    // Twice, since after the first time no connection is left in the pool.
    for _ in 0..2 {
        let replies = join_all((0..40).map(|_| app.token(&client, &[])));
        for reply in tokio::time::timeout(SOON, replies).await.expect("one failed poll answers all") {
            assert_eq!(reply.status(), 503);
            assert!(reply.headers().contains_key("retry-after"));
        }
    }
    drop(frozen);
    until("the database answers again", async || app.token(&client, &[]).await.status() == 200).await;
    app.stop().await;
}
