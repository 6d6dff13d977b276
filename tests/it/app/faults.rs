//! Faults of the database that a test can cause, and end again, on any machine.

use crate::support::{Engine, TestDatabase};

impl TestDatabase {
    /// From now on every transaction that updates `service_state` (the change counter, the heartbeat) fails as on a full disk:
    /// SQLite rolls back, PostgreSQL refuses the commit.
    pub(super) async fn fill_disk(&self) {
        let mut session = self.session().await;
        session
            .execute(match self.engine() {
                Engine::Sqlite => {
                    "CREATE TRIGGER full_disk BEFORE UPDATE ON service_state
                     BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END"
                }
                Engine::Postgres => {
                    "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                         RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
                     END $$;
                     CREATE CONSTRAINT TRIGGER full_disk AFTER UPDATE ON service_state
                         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION full_disk()"
                }
            })
            .await;
    }

    /// Ends what [`Self::fill_disk`] began: commits succeed again.
    pub(super) async fn empty_disk(&self) {
        let mut session = self.session().await;
        session
            .execute(match self.engine() {
                Engine::Sqlite => "DROP TRIGGER full_disk",
                Engine::Postgres => "DROP TRIGGER full_disk ON service_state; DROP FUNCTION full_disk()",
            })
            .await;
    }

    /// With `true`, PostgreSQL refuses writes from now on, like a standby; with `false`, it accepts them again.
    pub(super) async fn set_read_only(&self, is_read_only: bool) {
        let value = if is_read_only { "on" } else { "off" };
        let mut session = self.session().await;
        session.execute("SET default_transaction_read_only = off").await;
        session
            .execute(&format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {value}',
                     current_database()); END $$"
            ))
            .await;
        // In a separate statement, after the setting is committed, so that connections that are opened again get it.
        session
            .execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
    }
}
