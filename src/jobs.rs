//! What the service does without being asked: follow the change counter, rotate keys, write what was only noted, purge
//! what is dead. Each step fails by itself, is logged, and is tried again at the next turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::ledger::POLL_MILLIS;
use crate::services::Services;

/// How often housekeeping takes its turn.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// How late a status list may be in saying what time has brought about.
const CLOCKWORK: Duration = Duration::from_secs(2);

/// Follows the change counter for ever, so that changes made elsewhere are in force within a second, and has the status
/// lists keep up with it.
pub async fn follow(services: Arc<Services>) {
    let mut ticks = interval(Duration::from_millis(POLL_MILLIS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match services.ledger.poll().await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the database answers again");
            }
            // Said once, not twice a second, for as long as it lasts.
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "the database does not answer; trying on");
            }
            Ok(()) | Err(_) => {}
        }
        // Whoever asks for a list that was not made here makes it, and says why he cannot.
        if !failing && let Err(error) = services.status_lists.keep_up().await {
            tracing::debug!(?error, "a status list could not be made ahead");
        }
    }
}

/// Takes care of what is due, for ever.
pub async fn housekeeping(services: Arc<Services>) {
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        turn(&services).await;
    }
}

/// Records tokens in groups, for ever.
pub async fn record(services: Arc<Services>) {
    services.tokens.record_in_groups().await;
}

/// Lets time have its due, for ever: what was to be revoked or suspended at an instant is.
pub async fn clockwork(services: Arc<Services>) {
    let mut ticks = interval(CLOCKWORK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = services.tokens.suit_to_the_time().await {
            tracing::warn!(%error, "tokens whose time has come could not be revoked or suspended");
        }
    }
}

/// One turn of housekeeping.
pub async fn turn(services: &Services) {
    if let Err(error) = services.signing.advance_signing_keys().await {
        tracing::error!(%error, "signing keys could not be rotated");
    }
    if let Err(error) = services.write_last_used().await {
        tracing::warn!(%error, "the last uses of secrets and tokens could not be written");
    }
    if let Err(error) = services.clean_up().await {
        tracing::warn!(%error, "what is dead could not be purged");
    }
}
