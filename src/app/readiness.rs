//! The checks of `/readyz`: whether this process can serve requests now.

use crate::ledger::Freshness;
use crate::services::Services;
use crate::telemetry::health::{Check, Checks};

/// Checks the database, the change counter and the signing keys.
pub(super) async fn checks(services: &Services) -> Checks {
    let (mut storage, migrations) = match services.schema_is_current().await {
        Ok(true) => (Check::pass("the database answers"), Check::pass("the schema is current")),
        Ok(false) => (
            Check::pass("the database answers"),
            Check::fail(
                "the schema is not the one this program needs: run `mintmark migrate`, or use the version that updated it",
            ),
        ),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            (
                Check::fail("the database does not answer: see the log"),
                Check::fail("unknown while the database does not answer"),
            )
        }
    };
    // While changes are not followed, every request is refused.
    if storage.ok && services.ledger.freshness().await != Freshness::Confirmed {
        storage = Check::fail("changes in the database cannot be followed: see the log");
    }
    let signing_keys = match services.signing.missing_signing_keys() {
        None => Check::pass("all kinds of tokens have an active key"),
        Some(missing) => Check::fail(missing),
    };
    Checks { storage, migrations, signing_keys }
}
