//! Claims what is due, sends it, and stores what became of it. Any number of processes share the work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::hosts::Hosts;
use super::schedule::delay;
use super::{Smtp, Webhook};
use crate::kernel::{Error, Kernel};
use crate::ledger::Ledger;
use crate::model::delivery::{Channel, Claimed, Outcome, Report};
use crate::storage::Next;

/// How long one attempt may take in all.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// How long nobody else may claim a delivery: longer than an attempt, and the difference allowed between two clocks twice.
pub const LEASE_SECONDS: i64 = 120;

/// Sends deliveries.
#[derive(Debug)]
pub struct Worker {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    /// The name of this process in leases.
    owner: String,
    smtp: Smtp,
    webhook: Webhook,
    hosts: Mutex<Hosts>,
    /// What was tried and could not be stored yet.
    unstored: Mutex<Vec<(Claimed, Outcome)>>,
}

impl Worker {
    /// A worker that has sent nothing yet.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there are no random numbers.
    pub fn new(
        kernel: Arc<Kernel>,
        ledger: Arc<Ledger>,
        smtp: Smtp,
        webhook: Webhook,
    ) -> Result<Self, Error> {
        let owner = kernel.new_id()?;
        Ok(Self { kernel, ledger, owner, smtp, webhook, hosts: Mutex::default(), unstored: Mutex::default() })
    }

    /// Sends what is due, as much at once as the limits allow, until nothing more may be sent now. Returns how many
    /// attempts it made.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was tried by then is stored by the next call. [`Error::Clock`] while leases of this
    /// machine would mean something else to others.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let mut tried = 0;
        loop {
            let claimed = self.claim().await?;
            if claimed.is_empty() {
                return Ok(tried);
            }
            tried += claimed.len();
            join_all(claimed.into_iter().map(|claimed| self.attempt(claimed))).await;
        }
    }

    /// Claims as much of what is due as may be sent at once.
    async fn claim(&self) -> Result<Vec<Claimed>, Error> {
        self.ledger.clock_must_agree()?;
        self.store_rest().await?;
        let storage = &self.kernel.storage;
        let now = self.kernel.clock.now();
        let mut claimed = Vec::new();
        for (host, _) in storage.due_hosts(now).await? {
            while self.hosts().may(&host, self.kernel.clock.monotonic_millis()) {
                let lease_until = now + LEASE_SECONDS;
                let Some(one) = storage.claim_delivery(&host, now, &self.owner, lease_until).await? else {
                    break;
                };
                self.hosts().begin(&host, self.kernel.clock.monotonic_millis());
                claimed.push(one);
            }
        }
        Ok(claimed)
    }

    /// Makes one attempt and stores its outcome, now or with the next call.
    async fn attempt(&self, claimed: Claimed) {
        let sending = async {
            match claimed.channel {
                Channel::Mail => self.smtp.send(&claimed).await,
                Channel::Webhook => self.webhook.send(&claimed).await,
            }
        };
        let outcome = timeout(ATTEMPT_MAX, sending).await.unwrap_or_else(|_| Outcome::Retry {
            retry_after: None,
            report: Report {
                error: Some(format!("not finished within {} seconds", ATTEMPT_MAX.as_secs())),
                ..Report::default()
            },
        });
        let failed = matches!(outcome, Outcome::Retry { .. });
        self.hosts().end(&claimed.host, failed, self.kernel.clock.monotonic_millis());
        if let Err(error) = self.store(&claimed, &outcome).await {
            tracing::warn!(%error, "what became of a delivery could not be stored; trying again");
            self.unstored().push((claimed, outcome));
        }
    }

    /// Stores the outcomes that could not be stored before.
    async fn store_rest(&self) -> Result<(), Error> {
        loop {
            let Some((claimed, outcome)) = self.unstored().pop() else { return Ok(()) };
            if let Err(error) = self.store(&claimed, &outcome).await {
                self.unstored().push((claimed, outcome));
                return Err(error);
            }
        }
    }

    async fn store(&self, claimed: &Claimed, outcome: &Outcome) -> Result<(), Error> {
        let now = self.kernel.clock.now();
        let (next, report) = match outcome {
            Outcome::Sent(report) => (Next::Sent(now), report),
            Outcome::Dead(report) => (Next::Dead(now), report),
            Outcome::Retry { retry_after, report } => {
                let chance = u32::from_be_bytes(self.kernel.random.fill().map_err(Error::from)?);
                match delay(claimed.attempt, *retry_after, chance) {
                    Some(seconds) => (Next::At(now + seconds), report),
                    None => (Next::Dead(now), report),
                }
            }
        };
        let mut tx = self.kernel.storage.begin().await?;
        let stored = tx.finish_delivery(claimed, next, report).await?;
        self.ledger.commit(tx).await?;
        if !stored {
            let delivery_id = &claimed.delivery_id;
            tracing::warn!(
                delivery_id,
                "another process has sent a delivery meanwhile: it took longer than its lease"
            );
        }
        Ok(())
    }

    fn hosts(&self) -> std::sync::MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unstored(&self) -> std::sync::MutexGuard<'_, Vec<(Claimed, Outcome)>> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
