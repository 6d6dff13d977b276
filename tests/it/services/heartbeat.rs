//! A beat commits a heartbeat if nothing else was committed since the beat before it. Once a minute it commits one in any case,
//! to store the present time as the last instant (`src/ledger/clocks.rs`).

use super::{Place, erp};
use crate::support::{Engine, on_both_engines};

on_both_engines!(a_heartbeat_is_committed_if_nothing_else_was_or_a_minute_has_passed);

async fn a_heartbeat_is_committed_if_nothing_else_was_or_a_minute_has_passed(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let beats = async || {
        services.ledger.beat().await.unwrap();
        place.database.number("SELECT beats FROM service_state").await
    };
    assert_eq!(beats().await, 1);
    assert_eq!(beats().await, 2, "nothing else was committed");
    // Creates a client.
    erp(&services).await;
    assert_eq!(beats().await, 2, "a change was committed, so there is no heartbeat");
    assert_eq!(beats().await, 3);
    erp(&services).await;
    place.clock.advance(60);
    assert_eq!(beats().await, 4, "the stored instant is a minute old, so it is stored again");
    let last = place.database.number("SELECT last_instant FROM service_state").await;
    assert_eq!(last, super::START + 60);
}
