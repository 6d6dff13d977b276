//! Claims due deliveries and sends them. Any number of processes may share the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::finishing::Finishing;
use super::hosts::{AT_ONCE, Hosts};
use super::schedule::{ATTEMPT_MAX, LEASE_SECONDS};
use super::{Smtp, Webhook};
use crate::kernel::{Error, Kernel};
use crate::ledger::Ledger;
use crate::model::delivery::{Channel, Claimed, Outcome, Report};

/// How often to look for due deliveries: those that other processes queued, and those that are tried again. The webhook of a
/// changed status list is due within two seconds of the change, so services that listen to it refuse a revoked token within
/// three seconds.
const INTERVAL: Duration = Duration::from_millis(500);

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
    finishing: Finishing,
    /// Notified when an attempt has ended.
    ended: Notify,
}

/// The claimed deliveries, and whether others are due to hosts that may not get another request now ([`Hosts::may`]).
#[derive(Debug, Default)]
struct Batch {
    claimed: Vec<Claimed>,
    more: bool,
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
        Ok(Self {
            owner: kernel.new_id()?,
            finishing: Finishing::new(
                Arc::clone(&kernel),
                Arc::clone(&ledger),
                Arc::clone(webhook.webhooks()),
            ),
            kernel,
            ledger,
            smtp,
            webhook,
            hosts: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// Sends until `stop` is true, then finishes what is being sent. When this process queues a delivery, the worker looks for
    /// due deliveries at once.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let (claimed, mut to_send) = mpsc::channel(AT_ONCE);
        let sending = async {
            let mut attempts = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(one) = to_send.recv() => attempts.push(self.attempt(one)),
                    Some(()) = attempts.next() => self.ended.notify_one(),
                    else => break,
                }
            }
        };
        tokio::join!(self.claim_until(stop, claimed), sending);
        if let Err(error) = self.finishing.store_rest().await {
            tracing::warn!(%error, "what became of a delivery could not be stored: it may be sent a second time");
        }
        self.smtp.close().await;
    }

    /// Claims due deliveries and passes them to `claimed`, until `stop` is true.
    async fn claim_until(&self, mut stop: watch::Receiver<bool>, claimed: mpsc::Sender<Claimed>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = stop.clone();
        let (mut more, mut failing) = (false, false);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.kernel.storage.delivery_queued() => {}
                () = self.ended.notified(), if more => {}
                _ = ticks.tick() => {}
            }
            self.smtp.close_idle().await;
            match self.claim(&stopping).await {
                Ok(batch) => {
                    (more, failing) = (batch.more, false);
                    for one in batch.claimed {
                        if let Err(unsent) = claimed.send(one).await {
                            self.give_back(&unsent.0).await;
                        }
                    }
                }
                // While the clock of this machine is wrong, other processes send. The ledger logs that it is wrong.
                Err(Error::Clock(_)) => more = false,
                Err(error) => {
                    more = false;
                    // Logged once per outage.
                    if !failing {
                        let failure = error.kind();
                        tracing::warn!(failure, %error, "deliveries could not be claimed; trying again until they can");
                    }
                    failing = true;
                }
            }
        }
    }

    /// Sends due deliveries, as many at once as the limits allow, until no more may be sent now. Returns how many attempts it
    /// made.
    ///
    /// # Errors
    /// [`Error::Storage`]; outcomes that could not be stored are stored by the next call. [`Error::Clock`] while the clock
    /// of this machine is wrong: for other processes its leases would end at another time.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let (_never, stop) = watch::channel(false);
        let mut tried = 0;
        loop {
            let batch = self.claim(&stop).await?;
            if batch.claimed.is_empty() {
                return Ok(tried);
            }
            tried += batch.claimed.len();
            join_all(batch.claimed.into_iter().map(|claimed| self.attempt(claimed))).await;
        }
    }

    /// Claims as many due deliveries as may be sent at once. Gives back one that it was claiming when `stop` became true.
    async fn claim(&self, stop: &watch::Receiver<bool>) -> Result<Batch, Error> {
        self.ledger.clock_must_agree()?;
        self.finishing.store_rest().await?;
        let storage = &self.kernel.storage;
        let now = self.kernel.clock.now();
        let mut batch = Batch::default();
        for (host, _) in storage.due_hosts(now).await? {
            loop {
                if *stop.borrow() {
                    break;
                }
                if !self.hosts().may(&host, self.kernel.clock.monotonic_millis()) {
                    batch.more = true;
                    break;
                }
                let claimed = storage.claim_delivery(&host, now, &self.owner, now + LEASE_SECONDS).await;
                let one = match claimed {
                    Ok(Some(one)) => one,
                    Ok(None) => break,
                    // The deliveries that are already claimed are sent anyway.
                    Err(_) if !batch.claimed.is_empty() => return Ok(batch),
                    Err(error) => return Err(error.into()),
                };
                if *stop.borrow() {
                    self.give_back(&one).await;
                    break;
                }
                self.hosts().begin(&host, self.kernel.clock.monotonic_millis());
                batch.claimed.push(one);
            }
        }
        Ok(batch)
    }

    /// Makes one attempt and stores its outcome, now or later.
    async fn attempt(&self, claimed: Claimed) {
        let sending = async {
            match claimed.channel {
                Channel::Mail if claimed.recipient.is_empty() => None,
                Channel::Mail => Some(self.smtp.send(&claimed, &self.kernel).await),
                Channel::Webhook => Some(self.webhook.send(&claimed).await),
            }
        };
        let outcome = timeout(ATTEMPT_MAX, sending).await.unwrap_or_else(|_| {
            let error = format!("the attempt did not finish within {} seconds", ATTEMPT_MAX.as_secs());
            let report = Report { error: Some(error), ..Report::default() };
            Some(Outcome::Retry { retry_after: None, report })
        });
        let failed = matches!(outcome, Some(Outcome::Retry { .. }));
        let host = claimed.host.clone();
        self.finishing.finish(claimed, outcome).await;
        // Only after storing: a crash repeats deliveries whose outcome is not stored, which must not be more than a host may
        // get at once.
        self.hosts().end(&host, failed, self.kernel.clock.monotonic_millis());
    }

    async fn give_back(&self, claimed: &Claimed) {
        if let Err(error) = self.kernel.storage.give_back_delivery(claimed).await {
            tracing::warn!(%error, "a delivery could not be given back: it is sent when its lease ends");
        }
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
