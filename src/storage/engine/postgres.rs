//! PostgreSQL: how to connect, and which versions are supported.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::open::open_error;
use super::{Db, WAIT_MAX, limits};
use crate::storage::StorageError;

/// Whether the URL names PostgreSQL; everything else is SQLite.
pub(super) fn is_named_by(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

pub(super) async fn connect(url: &str, max_connections: u32) -> Result<Db, StorageError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| open_error(url, &format!("the URL cannot be parsed: {error}")))?
        .application_name("mintmark");
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(WAIT_MAX)
        .after_connect(|connection, _| Box::pin(limits::prepare(connection)))
        // Instead of the pool's own test, which has no time limit.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(limits::answers(connection)))
        .connect_with(options)
        .await
        .map_err(|error| {
            open_error(url, &format!("{error}. Is PostgreSQL running, and may this user connect?"))
        })?;
    let version = pool.acquire().await?.server_version_num();
    check_version(version).map_err(|why| open_error(url, &why))?;
    Ok(Db::Postgres(pool))
}

/// Refuses a server older than the statements are tested with. `version` is `150004` for 15.4, and `None` if the server
/// does not say.
pub(super) fn check_version(version: Option<u32>) -> Result<(), String> {
    const OLDEST: u32 = 15;
    match version {
        Some(version) if version < OLDEST * 10_000 => Err(format!(
            "the server is PostgreSQL {}, and Mintmark needs {OLDEST} or newer: upgrade it, or use another server",
            version / 10_000
        )),
        _ => Ok(()),
    }
}

/// Host, port and database of a URL, without user, password and parameters; `None` if it cannot be parsed.
pub(super) fn place(url: &str) -> Option<String> {
    let options = PgConnectOptions::from_str(url).ok()?;
    let server = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| socket.display().to_string(),
    );
    Some(format!("{server}/{}", options.get_database().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        for version in [None, Some(150_000), Some(150_004), Some(180_001)] {
            assert_eq!(check_version(version), Ok(()));
        }
        let why = check_version(Some(140_012)).unwrap_err();
        assert!(why.contains("PostgreSQL 14") && why.contains("15 or newer"), "{why}");
        assert!(check_version(Some(90_624)).unwrap_err().contains("PostgreSQL 9"));
    }
}
