//! A database that hangs: requests are answered within seconds, however many wait, and the log distinguishes a database that
//! does not answer from one that refuses.

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{Engine, TestApp};

/// How long forty requests may take together. Each poll that hangs takes a second and a half, so one after the other they
/// would take a minute.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn one_failed_poll_answers_all_waiting_requests() {
    let app = TestApp::start(Engine::Postgres).await;
    let client = app.bootstrap().await;
    app.access_token(&client, &[]).await;
    let mut session = app.database.session().await;
    session.begin().await;
    session.execute("LOCK TABLE change_log IN ACCESS EXCLUSIVE MODE").await;
    app.clock.advance_millis(5_001);
    let replies = join_all((0..40).map(|_| app.token(&client, &[])));
    for reply in tokio::time::timeout(SOON, replies).await.expect("all are answered by one failure") {
        assert_eq!(reply.status(), 503);
        assert!(reply.headers().contains_key("retry-after"));
    }
    session.execute("ROLLBACK").await;
    app.access_token(&client, &[]).await;
    app.stop().await;
}

#[tokio::test]
async fn a_silent_database_is_logged_as_a_stall() {
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
