//! A migration moves unsent mails of earlier versions from the table `outbox` to `deliveries`.

use crate::storage::samples::stocked;
use crate::support::{Engine, on_both_engines};

on_both_engines!(mails_of_the_last_week_are_moved_and_older_ones_are_dropped);

const DAY: i64 = 86_400;

async fn mails_of_the_last_week_are_moved_and_older_ones_are_dropped(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    storage.close().await;
    let mut session = database.session().await;
    // The database is as it was before the migration.
    session.execute("DELETE FROM _sqlx_migrations WHERE version = 16").await;
    session.execute("DROP TABLE deliveries").await;
    let number = if engine == Engine::Sqlite { "INTEGER" } else { "BIGINT" };
    session
        .execute(&format!(
            "CREATE TABLE outbox (mail_id TEXT NOT NULL PRIMARY KEY, queued_at {number} NOT NULL, kind TEXT NOT NULL,
                recipient TEXT NOT NULL, client_id TEXT NOT NULL, facts TEXT NOT NULL, attempts {number} NOT NULL,
                next_attempt_at {number} NOT NULL, lease_until {number} NOT NULL, sent_at {number},
                occurrences {number} NOT NULL DEFAULT 1)"
        ))
        .await;
    // The migration reads the clock of the database.
    let now = match engine {
        Engine::Sqlite => session.number("SELECT CAST(strftime('%s', 'now') AS INTEGER)").await,
        Engine::Postgres => session.number("SELECT CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)").await,
    };
    for (id, age, kind, about) in [
        ("m1", 7 * DAY + 60, "client_created", "cl_1"),
        ("m2", 7 * DAY - 60, "token_revoked", "cl_1"),
        ("m3", 60, "summary", "cl_deleted"),
        ("m4", 0, "ways_in_replaced", "op_1"),
    ] {
        let (at, facts) = (now - age, "{\"label\":\"SAP ✓\"}");
        session
            .execute(&format!(
                "INSERT INTO outbox VALUES ('{id}', {at}, '{kind}', 'a@example.com', '{about}', '{facts}', 0, {at}, 0, NULL, 2)"
            ))
            .await;
    }
    let storage = database.open().await;
    let columns = "delivery_id || ' ' || channel || ' ' || kind || ' ' || recipient || ' ' || host || ' '
        || COALESCE(workspace_id, '-') || ' ' || about_id || ' ' || occurrences || ' ' || attempts || ' ' || body";
    let rows = session.texts(&format!("SELECT {columns} FROM deliveries ORDER BY delivery_id")).await;
    let expected = [
        "m2 mail access_token.revoked a@example.com smtp acme cl_1 2 0 {\"label\":\"SAP ✓\"}",
        "m3 mail summary a@example.com smtp - cl_deleted 2 0 {\"label\":\"SAP ✓\"}",
        "m4 mail operator.way_in_removed a@example.com smtp - op_1 2 0 {\"label\":\"SAP ✓\"}",
    ];
    assert_eq!(rows, expected);
    assert!(!session.tables().await.contains(&"outbox".to_owned()));
    let due = storage.claim_delivery("smtp", now, "one", now + 120).await.unwrap().unwrap();
    assert_eq!((due.delivery_id.as_str(), due.queued_at), ("m2", now - 7 * DAY + 60));
}
