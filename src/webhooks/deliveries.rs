//! The deliveries of a webhook: lists them with their outcome, sends a test event, and sends a delivery again.

use serde::{Serialize, Serializer};
use serde_json::json;

use super::Webhooks;
use super::change::NoMembers;
use super::records::lock;
use crate::kernel::{Error, Manager, Reader};
use crate::ledger::SaveReply;
use crate::model::clock::{UnixSeconds, rfc3339, to_rfc3339};
use crate::model::delivery::{Channel, Delivery, NewDelivery};
use crate::model::ids;
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::webhook::{WEBHOOK_TEST, Webhook};

const DELIVERY: &str = "delivery";

/// A delivery of a webhook, with its form as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery(pub Delivery);

impl WebhookDelivery {
    /// `waiting`, `sent`, or `failed` (given up).
    pub fn status(&self) -> &'static str {
        match (self.0.sent_at, self.0.dead_at) {
            (Some(_), _) => "sent",
            (None, Some(_)) => "failed",
            (None, None) => "waiting",
        }
    }
}

#[derive(Serialize)]
struct DeliveryDto<'a> {
    delivery_id: &'a str,
    webhook_id: &'a str,
    r#type: &'a str,
    status: &'static str,
    body: &'a str,
    #[serde(with = "rfc3339")]
    queued_at: UnixSeconds,
    attempts: i64,
    #[serde(with = "rfc3339::option")]
    next_attempt_at: Option<UnixSeconds>,
    #[serde(with = "rfc3339::option")]
    last_attempt_at: Option<UnixSeconds>,
    last_status: Option<i64>,
    last_error: Option<&'a str>,
    last_reply: Option<&'a str>,
    #[serde(with = "rfc3339::option")]
    sent_at: Option<UnixSeconds>,
}

impl Serialize for WebhookDelivery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let delivery = &self.0;
        let waits = delivery.sent_at.is_none() && delivery.dead_at.is_none();
        let dto = DeliveryDto {
            delivery_id: &delivery.delivery_id,
            webhook_id: &delivery.recipient,
            r#type: &delivery.kind,
            status: self.status(),
            body: &delivery.body,
            queued_at: delivery.queued_at,
            attempts: delivery.attempts,
            next_attempt_at: waits.then_some(delivery.next_attempt_at),
            last_attempt_at: delivery.last_attempt_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error.as_deref(),
            last_reply: delivery.last_reply.as_deref(),
            sent_at: delivery.sent_at,
        };
        dto.serialize(serializer)
    }
}

impl Webhooks {
    /// A page of the deliveries of a webhook within reach, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn deliveries(
        &self,
        caller: &Reader,
        webhook_id: &str,
        page: &Page,
    ) -> Result<Items<WebhookDelivery>, Error> {
        let webhook = self.webhook(caller, webhook_id).await?;
        let found = self.kernel.storage.deliveries_of_webhook(&webhook.webhook_id, page).await?;
        let mut total = None;
        if page.count {
            total = Some(self.kernel.storage.count_deliveries_of_webhook(&webhook.webhook_id).await?);
        }
        Ok(found.map(WebhookDelivery).counted(total))
    }

    /// A delivery of a webhook within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn delivery(
        &self,
        caller: &Reader,
        webhook_id: &str,
        delivery_id: &str,
    ) -> Result<WebhookDelivery, Error> {
        let webhook = self.webhook(caller, webhook_id).await?;
        if !ids::is_uuid(delivery_id) {
            return Err(Error::NotFound(DELIVERY));
        }
        let found = self.kernel.storage.delivery(&Reach::Platform, delivery_id).await?;
        let of_it =
            |found: &Delivery| found.channel == Channel::Webhook && found.recipient == webhook.webhook_id;
        found.filter(of_it).map(WebhookDelivery).ok_or(Error::NotFound(DELIVERY))
    }

    /// Queues a test event, which a person can look for at the receiver, whatever events the webhook names.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] for a disabled webhook; [`Error::AlreadyAnswered`],
    /// [`Error::Storage`].
    pub async fn test(
        &self,
        caller: &Manager,
        webhook_id: &str,
        request: &NoMembers,
        save: Option<SaveReply<'_, WebhookDelivery>>,
    ) -> Result<WebhookDelivery, Error> {
        Error::if_any(request.parse_errors.clone())?;
        let mut tx = self.kernel.storage.begin().await?;
        let webhook = lock(&mut tx, &caller.reach, webhook_id).await?;
        if webhook.disabled.is_some() {
            return Err(Error::Conflict("the webhook is disabled: enable it first".to_owned()));
        }
        let new = self.test_of(&webhook)?;
        tx.enqueue_delivery(&new).await?;
        let queued = WebhookDelivery(queued(new));
        self.ledger.save_reply(&mut tx, save.as_ref(), &queued, None).await?;
        self.ledger.commit(tx).await?;
        Ok(queued)
    }

    fn test_of(&self, webhook: &Webhook) -> Result<NewDelivery, Error> {
        let now = self.kernel.clock.now();
        let data = json!({ "webhook_id": webhook.webhook_id, "workspace_id": webhook.workspace_id });
        let body = json!({ "type": WEBHOOK_TEST, "timestamp": to_rfc3339(now), "data": data });
        Ok(NewDelivery {
            delivery_id: self.kernel.new_id()?,
            channel: Channel::Webhook,
            kind: WEBHOOK_TEST.to_owned(),
            recipient: webhook.webhook_id.clone(),
            host: webhook.host.clone(),
            workspace_id: Some(webhook.workspace_id.clone()),
            about_id: webhook.webhook_id.clone(),
            body: body.to_string(),
            unique_key: None,
            occurrences: 1,
            queued_at: now,
            first_attempt_at: now,
        })
    }

    /// Queues a delivery again, under the same id, whether it was sent, was given up or still waits.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] while it is being sent and for a disabled webhook;
    /// [`Error::Storage`].
    pub async fn resend(
        &self,
        caller: &Manager,
        webhook_id: &str,
        delivery_id: &str,
        request: &NoMembers,
    ) -> Result<WebhookDelivery, Error> {
        Error::if_any(request.parse_errors.clone())?;
        let known = self.delivery(caller, webhook_id, delivery_id).await?;
        let mut tx = self.kernel.storage.begin().await?;
        let webhook = lock(&mut tx, &caller.reach, webhook_id).await?;
        if webhook.disabled.is_some() {
            return Err(Error::Conflict("the webhook is disabled: enable it first".to_owned()));
        }
        let now = self.kernel.clock.now();
        if !tx.send_to_webhook_again(&webhook.webhook_id, &known.0.delivery_id, now).await? {
            return Err(Error::Conflict(
                "the delivery is being sent right now: look again in a minute".to_owned(),
            ));
        }
        self.ledger.commit(tx).await?;
        self.delivery(caller, webhook_id, delivery_id).await
    }
}

/// A delivery as it is when it has just been queued.
fn queued(new: NewDelivery) -> Delivery {
    Delivery {
        delivery_id: new.delivery_id,
        channel: new.channel,
        kind: new.kind,
        recipient: new.recipient,
        workspace_id: new.workspace_id,
        about_id: new.about_id,
        about: None,
        is_about_client: false,
        body: new.body,
        occurrences: 1,
        queued_at: new.queued_at,
        attempts: 0,
        next_attempt_at: new.first_attempt_at,
        sent_at: None,
        dead_at: None,
        last_attempt_at: None,
        last_status: None,
        last_error: None,
        last_reply: None,
    }
}
