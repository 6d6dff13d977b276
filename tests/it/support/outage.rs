//! A database that fails for a while, or does not answer.

use super::TestDatabase;
use super::database::Kept;
use super::postgres::PostgresDatabase;

/// A PostgreSQL server whose processes are stopped until this value is dropped.
pub(crate) struct Frozen<'a>(&'a PostgresDatabase);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

impl TestDatabase {
    /// From now on every statement that uses a table fails. PostgreSQL ends all connections and accepts no new ones.
    /// A SQLite file cannot be taken from a process that has it open, so its tables are renamed instead.
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

    /// The PostgreSQL server of [`TestDatabase::alone`] does nothing until the result is dropped.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        let Kept::Database(database) = &self.kept else { panic!("only PostgreSQL has a server to stop") };
        database.freeze();
        Frozen(database)
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
