//! The database fails just after a receiver has accepted a delivery.

use serde_json::json;

use super::receiver::{Receiver, Reply};
use super::{deliveries, started, webhook, worker};
use crate::support::{Engine, on_both_engines};

on_both_engines!(an_accepted_delivery_is_not_sent_again);

async fn an_accepted_delivery_is_not_sent_again(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(500)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({})).await;
    // The first attempt fails. A later success then updates the webhook, to clear `failing_since`.
    worker(&app).run_once().await.unwrap();
    let failing = "SELECT COUNT(*) FROM webhooks WHERE failing_since IS NOT NULL";
    assert_eq!(app.database.number(failing).await, 1);

    // From now on every update of a webhook fails.
    let mut session = app.database.session().await;
    let (begin, end) = match engine {
        Engine::Sqlite => (
            "CREATE TRIGGER fault BEFORE UPDATE ON webhooks BEGIN SELECT RAISE(ABORT, 'fault'); END",
            "DROP TRIGGER fault",
        ),
        Engine::Postgres => (
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fault'; END $$;
             CREATE TRIGGER fault BEFORE UPDATE ON webhooks FOR EACH ROW EXECUTE FUNCTION fault()",
            "DROP TRIGGER fault ON webhooks",
        ),
    };
    session.execute(begin).await;
    receiver.answers(Reply::status(200));
    app.clock.advance(600);
    // The receiver accepts the delivery, but the worker cannot store that until its next run.
    let tried = worker(&app).run_once().await;
    assert_eq!(receiver.got().len(), 2, "{tried:?}");
    session.execute(end).await;
    app.clock.advance(600);
    worker(&app).run_once().await.unwrap();
    assert_eq!(receiver.got().len(), 2);
    let queued = &deliveries(&app, &hook).await[0];
    assert_eq!((queued.attempts, queued.last_status), (2, Some(200)));
    assert!(queued.sent_at.is_some(), "{queued:?}");
    assert_eq!(app.database.number(failing).await, 0);
    app.stop().await;
}
