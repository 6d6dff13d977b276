//! Inspects a database without changing it, for a check before a server is started.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::migrations::{SchemaState, compared};
use super::open::open_error;
use super::{postgres, sqlite};
use crate::storage::{Storage, StorageError};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What [`Storage::inspect`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The engine with its version, such as `PostgreSQL 15.4`; without a version if there is no SQLite file yet.
    pub engine: String,
    /// Whether the schema is the one of this program.
    pub schema: SchemaState,
    /// The fingerprint of the master key, and the root key sealed under it; `None` if the database has not been served yet.
    pub root: Option<(Vec<u8>, Vec<u8>)>,
    /// The time of the server's clock, in Unix milliseconds; `None` on SQLite, which has the clock of this machine.
    pub database_millis: Option<i64>,
}

impl Storage {
    /// Inspects the database at `url`. Nothing is migrated or written, and no database is created. SQLite may leave an empty
    /// write-ahead log and its index beside the file.
    ///
    /// # Errors
    /// [`StorageError::Open`] if the database cannot be reached, is read-only, is too old or does not answer in time;
    /// [`StorageError::Damaged`]; other variants if a query fails.
    pub async fn inspect(url: &str) -> Result<Inspection, StorageError> {
        let looking =
            async { if postgres::is_named_by(url) { of_postgres(url).await } else { of_sqlite(url).await } };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(found) => found,
            Err(_) => Err(open_error(url, "it does not answer within 5 seconds")),
        }
    }
}

const VERSIONS: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
const ROOT: &str = "SELECT master_fingerprint, sealed_root FROM service_state WHERE sealed_root IS NOT NULL";

/// Reads schema and root key on an open connection of either engine.
macro_rules! read {
    ($connection:expr, $is_there:expr) => {{
        let is_there: bool = sqlx::query_scalar($is_there).fetch_one(&mut $connection).await?;
        if is_there {
            let versions: Vec<i64> = sqlx::query_scalar(VERSIONS).fetch_all(&mut $connection).await?;
            let root: Option<(Vec<u8>, Vec<u8>)> =
                sqlx::query_as(ROOT).fetch_optional(&mut $connection).await?;
            (compared(&versions), root)
        } else {
            (SchemaState::New, None)
        }
    }};
}

async fn of_postgres(url: &str) -> Result<Inspection, StorageError> {
    let unreachable = |error: sqlx::Error| open_error(url, &error.to_string());
    let options = postgres::options(url).map_err(unreachable)?.application_name("mintmark check");
    let mut connection = options.connect().await.map_err(unreachable)?;
    let version = connection.server_version_num();
    postgres::check_version(version).map_err(|why| open_error(url, &why))?;
    let engine = match version {
        Some(version) => format!("PostgreSQL {}.{}", version / 10_000, version % 10_000),
        None => "PostgreSQL".to_owned(),
    };
    let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
    let database_millis = Some(sqlx::query_scalar(now).fetch_one(&mut connection).await?);
    let (schema, root) = read!(connection, "SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    connection.close().await?;
    Ok(Inspection { engine, schema, root, database_millis })
}

async fn of_sqlite(url: &str) -> Result<Inspection, StorageError> {
    let path = sqlite::path(url)?;
    if !path.exists() {
        must_be_writable(&path).map_err(|error| open_error(url, &error.to_string()))?;
        let (engine, schema) = ("SQLite".to_owned(), SchemaState::New);
        return Ok(Inspection { engine, schema, root: None, database_millis: None });
    }
    let options = SqliteConnectOptions::new().filename(&path).read_only(true);
    let mut connection = options.connect().await.map_err(|error| match StorageError::from(error) {
        damaged @ StorageError::Damaged(_) => damaged,
        other => open_error(url, &other.to_string()),
    })?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    let is_there = "SELECT COUNT(*) > 0 FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let (schema, root) = read!(connection, is_there);
    connection.close().await?;
    must_be_writable(&path).map_err(|error| open_error(url, &error.to_string()))?;
    Ok(Inspection { engine: format!("SQLite {version}"), schema, root, database_millis: None })
}

/// Fails if the file of a database is read-only by its mode. If there is no file yet, the nearest existing folder counts.
fn must_be_writable(path: &Path) -> std::io::Result<()> {
    let found = path.ancestors().find_map(|part| {
        let part = if part.as_os_str().is_empty() { Path::new(".") } else { part };
        Some((part, part.metadata().ok()?))
    });
    match found {
        Some((part, metadata)) if metadata.permissions().readonly() => Err(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            format!("{} is not writable", part.display()),
        )),
        _ => Ok(()),
    }
}
