//! PostgreSQL: how to connect, and which versions are supported.

use std::borrow::Cow;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::open::open_error;
use super::{Db, WAIT_MAX, limits};
use crate::model::postgres_url::PARAMETERS;
use crate::storage::StorageError;

/// Whether the URL names PostgreSQL; everything else is SQLite.
pub(super) fn is_named_by(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Reads a URL. The log warns of parameters that are not known, without their names, which may be a part of a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let (known, unknown) = known_parameters(url);
    if unknown > 0 {
        tracing::warn!(
            unknown,
            "database.url has parameters that are not known, and they are ignored: check how they are spelled, and that a \
             password in the URL is percent-encoded"
        );
    }
    PgConnectOptions::from_str(&known)
}

pub(super) async fn connect(url: &str, max_connections: u32) -> Result<Db, StorageError> {
    let options = options(url)
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

/// The URL with only the parameters that the driver knows, and how many others it has. The driver would log the others, and
/// they may be `sslpassword`, or a part of a password with an unescaped `&`.
fn known_parameters(url: &str) -> (Cow<'_, str>, usize) {
    let Some((place, query)) = url.split_once('?') else { return (url.into(), 0) };
    let is_known = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        PARAMETERS.contains(&name) || name.starts_with("options[") || name.starts_with("options%5B")
    };
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(is_known);
    if unknown.is_empty() {
        return (url.into(), 0);
    }
    (format!("{place}?{}", known.join("&")).into(), unknown.len())
}

/// Refuses a server that is older than the oldest one with which the statements are tested. `version` is `150004` for 15.4, and
/// `None` if the server does not say.
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

/// Host, port and database of a URL, without user, password and parameters; `None` if it cannot be parsed, or if an unescaped
/// character may have put a part of the password where the port or the database is expected.
pub(super) fn place(url: &str) -> Option<String> {
    // The `@` after the password comes before these characters, unless the password contains one of them.
    if url.split_once(['?', '#']).is_some_and(|(_, rest)| rest.contains('@')) {
        return None;
    }
    let options = PgConnectOptions::from_str(&known_parameters(url).0).ok()?;
    if options.get_database().is_some_and(|database| database.contains('@')) {
        return None;
    }
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
    fn the_place_shows_no_part_of_a_password() {
        for (url, shown) in [
            ("postgres://me:canary@h/db?sslpassword=canary", Some("h:5432/db")),
            ("postgres://h/db?password=can&ary", Some("h:5432/db")),
            // The unescaped character ends the host and port, so what comes before it is read as a port.
            ("postgres://me:12?canary@h/db", None),
            ("postgres://me:12#canary@h/db", None),
            ("postgres://me:12/canary@h/db", None),
            ("postgres://me:can/ary@h/db", None),
        ] {
            assert_eq!(place(url).as_deref(), shown, "{url}");
        }
    }

    #[test]
    fn the_driver_gets_only_parameters_that_it_knows() {
        for (url, known, unknown) in [
            ("postgres://h/db", "postgres://h/db", 0),
            (
                "postgres://h/db?sslmode=require&options[a]=b",
                "postgres://h/db?sslmode=require&options[a]=b",
                0,
            ),
            ("postgres://h/db?password=can&ary&sslpassword=canary", "postgres://h/db?password=can", 2),
        ] {
            assert_eq!(known_parameters(url), (known.into(), unknown), "{url}");
        }
    }

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
