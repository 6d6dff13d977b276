//! What `/readyz` answers: whether this process can serve requests now.

use crate::ledger::Freshness;
use crate::services::Services;
use crate::telemetry::health::{Check, Checks};

/// Asks the database, the change counter and the key ring.
pub(super) async fn checks(services: &Services) -> Checks {
    let (mut storage, migrations) = match services.schema_is_current().await {
        Ok(true) => (Check::pass("the database answers"), Check::pass("the schema is current")),
        Ok(false) => (
            Check::pass("the database answers"),
            Check::fail(
                "the schema is not that of this program: run `mintmark migrate`, or use the version that made it",
            ),
        ),
        Err(error) => {
            tracing::warn!(%error, "not ready: storage");
            (
                Check::fail("the database does not answer: see the log"),
                Check::fail("unknown while the database is away"),
            )
        }
    };
    // Behind the database, every request is refused.
    if storage.ok && services.ledger.freshness().await != Freshness::Confirmed {
        storage = Check::fail("changes in the database cannot be followed: see the log");
    }
    let signing_keys = match services.signing.missing_signing_keys() {
        None => Check::pass("every class has an active key"),
        Some(missing) => Check::fail(missing),
    };
    Checks { storage, migrations, signing_keys }
}
