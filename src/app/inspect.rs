//! Checks the configured database, its master key and the mail server without changing anything, for `mintmark check
//! --connect`.

use super::root_key::configured_key;
use crate::config::{MasterKey as MasterKeySetting, Settings};
use crate::delivery::Smtp;
use crate::ledger::SKEW_MAX_MILLIS;
use crate::model::clock::Clock;
use crate::storage::{Inspection, SchemaState, Storage, StorageError};
use crate::vault::root::RootKey;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `database`, `schema`, `master_key`, `clock`, `smtp` or `open_files`.
    pub what: &'static str,
    /// Whether the check passed.
    pub ok: bool,
    /// What was found, and what to do if the check failed.
    pub detail: String,
}

fn good(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding { what, ok: true, detail: detail.into() }
}

fn bad(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding { what, ok: false, detail: detail.into() }
}

/// Checks whether the database can be reached, has a schema that this program can serve, is opened by the configured
/// master key, and has the same time as this machine. If the database cannot be reached, that is the only finding.
pub async fn inspect(settings: &Settings, clock: &dyn Clock) -> Vec<Finding> {
    let asked_at = clock.now_millis();
    let found = match Storage::inspect(settings.database.url.expose()).await {
        Ok(found) => found,
        Err(StorageError::Open { url, why }) => {
            return vec![bad("database", format!("cannot open {url}: {why}"))];
        }
        Err(error) => return vec![bad("database", error.to_string())],
    };
    let mut findings = vec![good("database", format!("{} answers", found.engine)), schema(found.schema)];
    findings.push(master_key(settings, &found));
    if let Some(theirs) = found.database_millis {
        let ahead = clock.ahead_of(theirs, asked_at);
        let seconds = ahead.abs() / 1000;
        let side = if ahead < 0 { "behind" } else { "ahead of" };
        findings.push(if ahead.abs() > SKEW_MAX_MILLIS {
            bad(
                "clock",
                format!(
                    "this machine is {seconds} seconds {side} the database; beyond 30 seconds no token is issued: check NTP"
                ),
            )
        } else {
            good("clock", format!("{seconds} seconds from the clock of the database"))
        });
    }
    findings
}

/// Checks whether the mail server can be reached and accepts the user name and password, if they are set. Sends no mail. `None`
/// if no mail server is configured.
pub async fn inspect_smtp(settings: &Settings) -> Option<Finding> {
    let smtp = match Smtp::new(settings.smtp.as_ref(), &settings.server.public_url) {
        Ok(smtp) => smtp,
        Err(error) => return Some(bad("smtp", error.to_string())),
    };
    Some(match smtp.check().await? {
        Ok(server) => good("smtp", format!("{server} accepts a connection with these settings")),
        Err(why) => bad("smtp", why),
    })
}

fn schema(state: SchemaState) -> Finding {
    match state {
        SchemaState::New => good("schema", "none yet: the first start creates it"),
        SchemaState::Current => good("schema", "current"),
        SchemaState::Behind(missing) => {
            good("schema", format!("{missing} migrations behind: the next start runs them; back up first"))
        }
        SchemaState::Unknown(version) => bad(
            "schema",
            format!(
                "it has the version {version}, which this program does not know: start the newer Mintmark"
            ),
        ),
    }
}

fn master_key(settings: &Settings, found: &Inspection) -> Finding {
    let fingerprint = found.root.as_ref().map(|(fingerprint, _)| fingerprint.as_slice());
    if let (None, MasterKeySetting::File { path, explicit: false }) = (fingerprint, &settings.keys.master_key)
        && !path.exists()
    {
        return good("master_key", format!("none yet: the first start creates {}", path.display()));
    }
    let key = match configured_key(settings, fingerprint) {
        Ok(key) => key,
        Err(error) => return bad("master_key", error.to_string()),
    };
    match &found.root {
        None => good("master_key", "readable; the first start sets the database up with it"),
        Some((_, sealed)) => match RootKey::unseal(&key, sealed) {
            Ok(_) => good("master_key", "opens the database"),
            Err(error) => bad("master_key", error.to_string()),
        },
    }
}
