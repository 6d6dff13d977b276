//! The schema: the migrations of this program, and how they are applied to a database.
//!
//! An applied migration is never edited: a database stores the SHA-384 of each file that was applied, and a program with
//! another file refuses the database.

use std::borrow::Cow;
use std::sync::LazyLock;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection as _, SqlStr, SqlitePool};

use super::{Db, limits, within_limit};
use crate::storage::StorageError;

/// Embeds the migrations of both engines: the version, the description that the database stores, and the file.
macro_rules! migrations {
    ($($version:literal, $description:literal, $file:literal;)*) => {
        static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator([$(
            ($version, $description, include_str!(concat!("../../../migrations/sqlite/", $file)))
        ),*]));
        static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator([$(
            ($version, $description, include_str!(concat!("../../../migrations/postgres/", $file)))
        ),*]));
    };
}

migrations! {
    1, "init", "0001_init.sql";
    2, "status", "0002_status.sql";
    3, "token indexes", "0003_token_indexes.sql";
    4, "descriptions", "0004_descriptions.sql";
    5, "live tokens and mails", "0005_live_tokens_and_mails.sql";
    6, "heartbeat", "0006_heartbeat.sql";
    7, "client uses", "0007_client_uses.sql";
    // The numbers 8, 13 and 14 are not used.
    9, "generation began", "0009_generation_began.sql";
    10, "operators", "0010_operators.sql";
    11, "usage", "0011_usage.sql";
    12, "reveals", "0012_reveals.sql";
    15, "bounded work", "0015_bounded_work.sql";
    16, "deliveries", "0016_deliveries.sql";
    17, "audit tree", "0017_audit_tree.sql";
    18, "webhooks", "0018_webhooks.sql";
    19, "reminders", "0019_reminders.sql";
    20, "usage once", "0020_usage_once.sql";
    21, "lists in order", "0021_lists_in_order.sql";
    22, "held secrets", "0022_held_secrets.sql";
    23, "labels in order", "0023_labels_in_order.sql";
    24, "fewer token indexes", "0024_fewer_token_indexes.sql";
}

/// The schema of a database compared with that of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// There is no schema yet: the first start creates it.
    New,
    /// The schema is the one of this program.
    Current,
    /// This many migrations have not been applied yet: the next start applies them.
    Behind(usize),
    /// The schema has this version, which this program does not know.
    Unknown(i64),
}

/// The state of a schema to which the migrations of these versions were applied.
pub(super) fn compared(applied: &[i64]) -> SchemaState {
    // Both engines have the same versions.
    let ours: Vec<i64> = SQLITE.iter().map(|migration| migration.version).collect();
    if let Some(unknown) = applied.iter().find(|version| !ours.contains(version)) {
        return SchemaState::Unknown(*unknown);
    }
    match ours.iter().filter(|version| !applied.contains(version)).count() {
        _ if applied.is_empty() => SchemaState::New,
        0 => SchemaState::Current,
        missing => SchemaState::Behind(missing),
    }
}

/// Makes a migrator of embedded files. `sqlx::migrate!` would do this at build time, but then sqlx and SQLite are compiled
/// a second time for the macro.
fn migrator<const N: usize>(embedded: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migrations = embedded.map(|(version, description, sql)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.into())
}

/// Migrates on a connection of its own, because its session settings must not outlive the migration.
async fn migrate_postgres(pool: &PgPool) -> Result<(), MigrateError> {
    let options = pool.connect_options();
    let mut connection = within_limit(async {
        let mut connection = PgConnection::connect_with(&options).await?;
        limits::prepare_to_migrate(&mut connection).await?;
        Ok(connection)
    })
    .await?;
    let outcome = POSTGRES.run_direct(None, &mut connection, false).await;
    within_limit(connection.close()).await?;
    outcome
}

/// Migrates on the one connection that writes. The index of a big table is sorted in a file and not in memory.
async fn migrate_sqlite(write: &SqlitePool) -> Result<(), MigrateError> {
    sqlx::query("PRAGMA temp_store = FILE").execute(write).await?;
    SQLITE.run(write).await?;
    sqlx::query("PRAGMA temp_store = MEMORY").execute(write).await?;
    Ok(())
}

impl Db {
    pub(super) async fn migrate(&self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite { write, .. } => migrate_sqlite(write).await,
            Self::Postgres(pool) => migrate_postgres(pool).await,
        }
        .map_err(|error| match error {
            MigrateError::VersionMissing(version) => StorageError::Migrate(format!(
                "it has the schema version {version}, which this program does not know. It was last used by a newer \
                 Mintmark: start that version, or restore a backup made before the upgrade"
            )),
            MigrateError::VersionMismatch(version) => StorageError::Migrate(format!(
                "migration {version} was applied in another form than the one in this program. Use the program that \
                 created the database"
            )),
            MigrateError::Execute(error) => match StorageError::from(error) {
                damaged @ StorageError::Damaged(_) => damaged,
                other => StorageError::Migrate(other.to_string()),
            },
            other => StorageError::Migrate(other.to_string()),
        })
    }

    /// Whether the schema is the one that this program was built with.
    pub(in crate::storage) async fn schema_is_current(&self) -> Result<bool, StorageError> {
        const APPLIED: &str =
            "SELECT COUNT(*), COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
        let ((applied, newest), ours) = match self {
            Self::Sqlite { read, file, .. } => {
                file.check_in_place()?;
                (sqlx::query_as::<_, (i64, i64)>(APPLIED).fetch_one(read).await?, &*SQLITE)
            }
            Self::Postgres(pool) => {
                (within_limit(sqlx::query_as::<_, (i64, i64)>(APPLIED).fetch_one(pool)).await?, &*POSTGRES)
            }
        };
        let expected = ours.iter().map(|migration| migration.version).max().unwrap_or(0);
        Ok(newest == expected && usize::try_from(applied).ok() == Some(ours.iter().count()))
    }
}
