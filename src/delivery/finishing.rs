//! Stores the outcome of an attempt. A delivery that is given up is also recorded in the audit trail.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::schedule::delay;
use crate::kernel::{Caller, Error, Kernel};
use crate::ledger::{Ledger, Subject};
use crate::model::audit::{Action, Actor};
use crate::model::delivery::{Channel, Claimed, NewDelivery, Outcome, Report};
use crate::model::ids;
use crate::model::reach::Reach;
use crate::model::webhook::Webhook;
use crate::storage::{Next, Tx};
use crate::webhooks::Webhooks;

/// A delivery and the outcome of its attempt; `None` for a mail without a recipient, which becomes one mail to each contact.
type Ended = (Claimed, Option<Outcome>);

/// Stores outcomes.
#[derive(Debug)]
pub(super) struct Finishing {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    webhooks: Arc<Webhooks>,
    /// What could not be stored yet. If the lease ends meanwhile, the outcome still counts until another process claims the
    /// delivery.
    unstored: Mutex<Vec<Ended>>,
}

impl Finishing {
    pub(super) fn new(kernel: Arc<Kernel>, ledger: Arc<Ledger>, webhooks: Arc<Webhooks>) -> Self {
        Self { kernel, ledger, webhooks, unstored: Mutex::default() }
    }

    /// Stores an outcome, or keeps it for [`Finishing::store_rest`].
    pub(super) async fn finish(&self, claimed: Claimed, outcome: Option<Outcome>) {
        if let Err(error) = self.store(&claimed, outcome.as_ref()).await {
            tracing::warn!(%error, "what became of a delivery could not be stored; trying again");
            self.keep((claimed, outcome));
        }
    }

    /// Stores the outcomes that could not be stored before.
    ///
    /// # Errors
    /// [`Error::Storage`]; the rest is kept.
    pub(super) async fn store_rest(&self) -> Result<(), Error> {
        loop {
            let next = self.unstored.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((claimed, outcome)) = next else { return Ok(()) };
            if let Err(error) = self.store(&claimed, outcome.as_ref()).await {
                self.keep((claimed, outcome));
                return Err(error);
            }
        }
    }

    fn keep(&self, ended: Ended) {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
    }

    async fn store(&self, claimed: &Claimed, outcome: Option<&Outcome>) -> Result<(), Error> {
        let now = self.kernel.clock.now();
        let next = match outcome {
            None | Some(Outcome::Sent(_)) => Next::Sent(now),
            Some(Outcome::Dead(_)) => Next::Dead(now),
            Some(Outcome::Retry { retry_after, .. }) => {
                let chance = u32::from_be_bytes(self.kernel.random.fill().map_err(Error::from)?);
                let next = delay(claimed.attempt, *retry_after, chance);
                next.map_or(Next::Dead(now), |seconds| Next::At(now + seconds))
            }
        };
        // Read before the transaction begins: to read within it would take a second connection.
        let contacts = if outcome.is_none() { self.contacts(claimed).await? } else { Vec::new() };
        let webhook = match (next, claimed.channel) {
            (Next::Dead(_), Channel::Webhook) => self.webhooks.to_send_to(&claimed.recipient).await?,
            _ => None,
        };
        let mut tx = self.kernel.storage.begin().await?;
        let report = match outcome {
            None => self.spread(&mut tx, claimed, &contacts).await?,
            Some(Outcome::Sent(report) | Outcome::Dead(report) | Outcome::Retry { report, .. }) => {
                report.clone()
            }
        };
        // The row of the webhook is locked before that of the delivery, as when a delivery is resent: otherwise the two could
        // deadlock.
        if let (Next::Sent(_), Channel::Webhook) = (next, claimed.channel) {
            tx.note_webhook_success(&claimed.recipient).await?;
        }
        if !tx.finish_delivery(claimed, next, &report).await? {
            let delivery_id = &claimed.delivery_id;
            tracing::warn!(
                delivery_id,
                "the outcome of a delivery was not stored: it was deleted, queued again or claimed by another process meanwhile"
            );
            return Ok(tx.rollback().await?);
        }
        if let Next::Dead(_) = next {
            self.report_dead(&mut tx, claimed, &report, webhook.as_ref()).await?;
        }
        self.ledger.commit(tx).await
    }

    /// The current contacts of the client that a mail is about.
    async fn contacts(&self, claimed: &Claimed) -> Result<Vec<String>, Error> {
        let now = self.kernel.clock.now();
        let record = self.kernel.storage.client(&Reach::Platform, &claimed.about_id, now).await?;
        Ok(record.map(|record| record.client.notification_emails).unwrap_or_default())
    }

    /// Queues a mail to each of `contacts`, in place of a claimed mail without a recipient.
    async fn spread(&self, tx: &mut Tx, claimed: &Claimed, contacts: &[String]) -> Result<Report, Error> {
        let mut new = Vec::with_capacity(contacts.len());
        for recipient in contacts {
            new.push(NewDelivery {
                delivery_id: self.kernel.new_id()?,
                channel: claimed.channel,
                kind: claimed.kind.clone(),
                recipient: recipient.clone(),
                host: claimed.host.clone(),
                workspace_id: claimed.workspace_id.clone(),
                about_id: claimed.about_id.clone(),
                body: claimed.body.clone(),
                unique_key: None,
                occurrences: claimed.occurrences,
                queued_at: claimed.queued_at,
                first_attempt_at: self.kernel.clock.now(),
            });
        }
        tx.enqueue_deliveries(&new).await?;
        let reply = match contacts.len() {
            0 => "the API client has no contacts any more".to_owned(),
            1 => "one mail was queued for it".to_owned(),
            mails => format!("{mails} mails were queued for it"),
        };
        Ok(Report { reply: Some(reply), ..Report::default() })
    }

    /// Records that a delivery is given up. If it is a request to a webhook, also mails the administrators of the webhook's
    /// workspace. If the delivery itself reports another one that was given up, nothing is recorded or mailed.
    async fn report_dead(
        &self,
        tx: &mut Tx,
        claimed: &Claimed,
        report: &Report,
        webhook: Option<&Webhook>,
    ) -> Result<(), Error> {
        let Claimed { delivery_id, channel, kind, host, attempt, .. } = claimed;
        let error = report.error.as_deref().unwrap_or_default();
        let channel = channel.as_str();
        tracing::warn!(delivery_id, channel, kind, host, error, "a delivery is given up");
        if kind == Action::DeliveryFailed.as_str() {
            return Ok(());
        }
        if let Some(webhook) = webhook {
            self.webhooks.report_failed(tx, webhook, claimed, error).await?;
        }
        let actor = Actor::system();
        let caller = Caller { reach: Reach::Platform, permissions: Vec::new(), actor, client_id: None };
        let subject = Subject {
            workspace_id: claimed.workspace_id.as_deref(),
            client_id: Some(claimed.about_id.as_str()).filter(|id| ids::is_client_id(id)),
            target: delivery_id,
        };
        let detail = json!({
            "channel": channel, "kind": kind, "recipient": claimed.recipient, "attempts": attempt, "error": error,
        });
        self.ledger.audit(tx, &caller, Action::DeliveryFailed, subject, detail).await
    }
}
