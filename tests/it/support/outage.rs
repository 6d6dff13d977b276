//! A database that does not answer for a while.

use super::TestDatabase;
use super::database::Kept;

impl TestDatabase {
    /// From now on no statement succeeds on any connection. PostgreSQL ends all connections and takes no new ones.
    /// A SQLite file cannot be taken from a process that has it open; it loses its tables instead.
    pub(crate) async fn go_away(&self) {
        match &self.kept {
            Kept::Database(database) => database.go_away(),
            Kept::Folder(_) => self.rename_tables(|table| format!("{table}_away")).await,
        }
    }

    /// The database answers again, with all its data.
    pub(crate) async fn come_back(&self) {
        match &self.kept {
            Kept::Database(database) => database.come_back(),
            Kept::Folder(_) => {
                self.rename_tables(|table| table.strip_suffix("_away").unwrap().to_owned()).await;
            }
        }
    }

    async fn rename_tables(&self, renamed: impl Fn(&str) -> String) {
        let mut session = self.session().await;
        session.begin().await;
        for table in session.texts("SELECT name FROM sqlite_master WHERE type = 'table'").await {
            session.execute(&format!("ALTER TABLE {table} RENAME TO {}", renamed(&table))).await;
        }
        session.execute("COMMIT").await;
    }
}
