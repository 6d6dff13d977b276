//! Background work of a serving process: follow the change counter and refresh the status lists, check that writing works,
//! record tokens in groups, apply changes that are due, store usage counts and last uses, sign the audit trail, load a new
//! certificate, and housekeeping ([`housekeeping_once`]).
//!
//! A step that fails does not end its job: the failure is logged, by some jobs only once per outage, and the step runs again at
//! the next interval. A job stops between two steps when its [`Stop`] says so, because a step that is cut off leaves the
//! database to undo half a transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::kernel::Error;
use crate::ledger::{BEAT_MILLIS, POLL_MILLIS};
use crate::services::Services;
use crate::tls::Certificate;

/// How often the audit trail is signed, if it has grown.
const CHECKPOINT_INTERVAL: Duration = Duration::from_mins(1);
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it takes at most until a new certificate file is used.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(5);
/// How often the counts of what API clients did are stored. A crash loses what was counted since the last time.
const USAGE_INTERVAL: Duration = Duration::from_secs(5);
/// How often the last uses of secrets and tokens are written. Until then other processes do not see them, and a crash loses
/// them.
const LAST_USES_INTERVAL: Duration = Duration::from_mins(1);
/// How often changes that are due are applied. A status list may show a scheduled revocation or suspension this late.
const DUE_CHANGES_INTERVAL: Duration = Duration::from_secs(2);

/// Becomes true, or loses its sender, when a job has to stop.
pub type Stop = watch::Receiver<bool>;

/// Follows the change counter, so that changes made by other processes take effect here within a second, and keeps the
/// status lists up to date.
pub async fn follow_changes(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(Duration::from_millis(POLL_MILLIS), stop);
    let mut failing = false;
    while steps.next().await {
        match services.ledger.poll().await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the database answers again");
            }
            // Logged once per outage, not at every poll.
            Err(error) if !failing => {
                failing = true;
                let failure = error.kind();
                tracing::error!(failure, %error, "the database could not be read; trying again until it can");
            }
            Ok(()) | Err(_) => {}
        }
        // A list that is not built here is built by the request that asks for it, which reports the error.
        if !failing && let Err(error) = services.status_lists.refresh().await {
            tracing::debug!(?error, "a status list could not be built ahead of requests");
        }
    }
}

/// Checks every few seconds that writing works, for `/readyz` and for the log.
pub async fn check_writing(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(Duration::from_millis(BEAT_MILLIS), stop);
    let mut failing = false;
    while steps.next().await {
        match services.ledger.beat().await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("the database accepts writes again");
            }
            Err(error) if !failing => {
                failing = true;
                let failure = error.kind();
                tracing::error!(failure, %error, "the database accepts no writes; trying again until it does");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Records tokens in groups: requests that arrive together share one commit.
pub async fn record_tokens(services: Arc<Services>, mut stop: Stop) {
    let stopping = async {
        let _ = stop.wait_for(|stop| *stop).await;
        services.tokens.stop_recording_in_groups();
    };
    // Polled in this order, so that the recording has begun before it is stopped.
    tokio::join!(biased; services.tokens.record_in_groups(), stopping);
}

/// Revokes and suspends tokens at the time that was set for this.
pub async fn apply_due_changes(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(DUE_CHANGES_INTERVAL, stop);
    while steps.next().await {
        if let Err(error) = unless_the_clock_is_doubtful(services.tokens.apply_due_changes().await) {
            tracing::warn!(failure = error.kind(), %error, "scheduled revocations and suspensions of tokens could not be applied; trying again");
        }
    }
}

/// Stores what API clients did, as counted in memory.
pub async fn store_usage(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(USAGE_INTERVAL, stop);
    let mut failing = false;
    while steps.next().await {
        match services.usage.flush().await {
            Ok(()) => failing = false,
            // Logged once per outage.
            Err(error) if !failing => {
                failing = true;
                let failure = error.kind();
                tracing::warn!(failure, %error, "the usage counts of API clients could not be stored; trying again until it works");
            }
            Err(_) => {}
        }
    }
}

/// Writes when secrets and tokens were last used, as noted in memory.
pub async fn write_last_uses(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(LAST_USES_INTERVAL, stop);
    while steps.next().await {
        if let Err(error) = services.write_last_used().await {
            tracing::warn!(failure = error.kind(), %error, "the last uses of secrets and tokens could not be written; trying again");
        }
    }
}

/// Signs a checkpoint of the audit trail every minute in which it grew.
pub async fn keep_audit_tree(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(CHECKPOINT_INTERVAL, stop);
    let mut failing = false;
    while steps.next().await {
        match services.ledger.keep_audit_tree().await {
            Ok(()) => failing = false,
            // Logged once per outage.
            Err(error) if !failing => {
                failing = true;
                let failure = error.kind();
                tracing::error!(failure, %error, "no checkpoint of the audit trail could be signed; trying again");
            }
            Err(_) => {}
        }
    }
}

/// Reads the certificate again when its files have changed.
pub(crate) async fn follow_certificate(certificate: Arc<Certificate>, stop: Stop) {
    let mut steps = Steps::every(CERTIFICATE_INTERVAL, stop);
    while steps.next().await {
        certificate.reload_if_changed();
    }
}

/// Runs [`housekeeping_once`] every half minute.
pub async fn housekeeping(services: Arc<Services>, stop: Stop) {
    let mut steps = Steps::every(HOUSEKEEPING_INTERVAL, stop);
    while steps.next().await {
        housekeeping_once(&services).await;
    }
}

/// Rotates signing keys, finishes revocations and suspensions that were interrupted, queues reminders, and deletes records past
/// their retention.
pub async fn housekeeping_once(services: &Services) {
    if let Err(error) = unless_the_clock_is_doubtful(services.signing.advance_signing_keys().await) {
        tracing::error!(failure = error.kind(), %error, "signing keys could not be rotated; trying again");
    }
    if let Err(error) = services.signing.finish_revocations().await {
        tracing::error!(failure = error.kind(), %error, "not all tokens of a deleted signing key could be revoked; trying again");
    }
    if let Err(error) = services.tokens.finish_suspensions().await {
        let failure = error.kind();
        tracing::warn!(failure, %error, "a workspace could not be suspended or resumed completely; trying again");
    }
    if let Err(error) = unless_the_clock_is_doubtful(services.reminders.remind().await.map(|_| ())) {
        tracing::warn!(failure = error.kind(), %error, "reminders could not be queued; trying again");
    }
    if let Err(error) = unless_the_clock_is_doubtful(services.clean_up().await) {
        tracing::warn!(failure = error.kind(), %error, "expired records could not be deleted; trying again");
    }
}

/// Work that waits until the clock can be trusted has not failed. The reason was logged when the clock became doubtful.
fn unless_the_clock_is_doubtful(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(Error::Clock(_)) => Ok(()),
        outcome => outcome,
    }
}

/// The steps of a job, one for each interval.
struct Steps {
    ticks: Interval,
    stop: Stop,
}

impl Steps {
    /// If a step takes longer than `period`, the next one begins at once, and the period counts from there: steps that were
    /// missed are not made up for.
    fn every(period: Duration, stop: Stop) -> Self {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, stop }
    }

    /// Waits until the next step is due, and returns true; false when the job has to stop.
    async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => false,
            _ = self.ticks.tick() => true,
        }
    }
}
