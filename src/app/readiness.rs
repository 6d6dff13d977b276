//! The checks of `/readyz`: whether this process can serve requests now, as far as its jobs know. They do not use the
//! database, so that probes do not hang with it or put load on it.

use crate::ledger::NotReady;
use crate::services::Services;
use crate::telemetry::health::{Check, Checks};

/// Checks the database, its schema and the signing keys.
pub(super) fn checks(services: &Services) -> Checks {
    let storage = match services.ledger.not_ready() {
        None => Check::pass("the database answers and takes writes"),
        Some(NotReady::Unanswered) => Check::fail("the database does not answer: see the log"),
        // Most requests are then refused; only stateless tokens are still issued, for `tokens.serve_stale_seconds`.
        Some(NotReady::Stale) => Check::fail("changes in the database cannot be followed: see the log"),
        Some(NotReady::NotWritten) => Check::fail("the database accepts no writes: see the log"),
        Some(NotReady::WriterTaken) => {
            Check::fail("another process has been writing to the database for too long: see the log")
        }
    };
    let migrations = if services.ledger.schema_was_current() {
        Check::pass("the schema is current")
    } else {
        Check::fail(
            "the schema is not the one this program needs: run `mintmark migrate`, or use the version that updated it",
        )
    };
    let signing_keys = match services.signing.missing_signing_keys() {
        None => Check::pass("all kinds of tokens have an active key"),
        Some(missing) => Check::fail(missing),
    };
    Checks { storage, migrations, signing_keys }
}
