//! Notes that the receiver of a webhook fails. If the receiver is gone, or has failed for days, the webhook is disabled, and
//! the administrators of its workspace get a mail. They also get one, at most once a day, if a request is given up.

use serde_json::json;

use super::Webhooks;
use super::dto::WebhookSettings;
use super::records::subject;
use crate::kernel::{Caller, Error, to_json};
use crate::model::audit::{Action, Actor};
use crate::model::delivery::{Channel, Claimed, MAIL_HOST, NewDelivery};
use crate::model::mail::MailKind;
use crate::model::operator::Operator;
use crate::model::reach::Reach;
use crate::model::webhook::{Disabled, FAILING_MAX_SECONDS, Webhook};
use crate::model::workspace::PLATFORM;
use crate::storage::Tx;

const DAY: i64 = 86_400;
const WORKSPACE_ADMIN: &str = "workspace_admin";
const PLATFORM_ADMIN: &str = "platform_admin";

impl Webhooks {
    /// The webhook to send something to; `None` if it was deleted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn to_send_to(&self, webhook_id: &str) -> Result<Option<Webhook>, Error> {
        Ok(self.kernel.storage.webhook(&Reach::Platform, webhook_id).await?)
    }

    /// Notes that the receiver of a webhook did not accept a request. Disables the webhook if its receiver has accepted nothing
    /// for five days.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn note_failure(&self, webhook: &Webhook) -> Result<(), Error> {
        let now = self.kernel.clock.now();
        let Some(since) = webhook.failing_since else {
            let mut tx = self.kernel.storage.begin().await?;
            tx.note_webhook_failure(&webhook.webhook_id, now).await?;
            return self.ledger.commit(tx).await;
        };
        if now.saturating_sub(since) < FAILING_MAX_SECONDS {
            return Ok(());
        }
        self.disable(webhook, Disabled::Failing).await
    }

    /// Disables a webhook whose receiver says that it is gone.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn disable_as_gone(&self, webhook: &Webhook) -> Result<(), Error> {
        self.disable(webhook, Disabled::Gone).await
    }

    /// Mails the administrators of a webhook's workspace that a request to it is given up: at most once a day, and not for a
    /// disabled webhook, since disabling it is reported separately.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn report_failed(
        &self,
        tx: &mut Tx,
        webhook: &Webhook,
        failed: &Claimed,
        error: &str,
    ) -> Result<(), Error> {
        if webhook.disabled.is_some() {
            return Ok(());
        }
        let now = self.kernel.clock.now();
        let settings = to_json(&WebhookSettings::of(webhook, &self.kernel.subkeys));
        let facts = json!({
            "webhook_id": webhook.webhook_id,
            "workspace_id": webhook.workspace_id,
            "name": webhook.host,
            "url": settings.get("url"),
            "event": failed.kind,
            "error": error,
            "at": now,
        });
        let (kind, day) = (MailKind::DeliveryFailed.as_str(), now.div_euclid(DAY));
        let mut mails = Vec::new();
        for operator in administrators(tx, &webhook.workspace_id).await? {
            mails.push(NewDelivery {
                delivery_id: self.kernel.new_id()?,
                channel: Channel::Mail,
                kind: kind.to_owned(),
                recipient: operator.email,
                host: MAIL_HOST.to_owned(),
                workspace_id: Some(webhook.workspace_id.clone()),
                about_id: webhook.webhook_id.clone(),
                body: facts.to_string(),
                unique_key: Some(format!("{kind}:{}:{}:{day}", webhook.webhook_id, operator.operator_id)),
                occurrences: 1,
                queued_at: now,
                first_attempt_at: now,
            });
        }
        tx.enqueue_deliveries(&mails).await?;
        Ok(())
    }

    async fn disable(&self, webhook: &Webhook, reason: Disabled) -> Result<(), Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let found = tx.lock_webhook(&Reach::Platform, &webhook.webhook_id).await?;
        // Nothing to do if meanwhile somebody disabled the webhook or gave it another URL; for `Disabled::Failing`, also if
        // another request succeeded.
        let is_still_true = |now: &Webhook| {
            let is_failing = reason != Disabled::Failing || now.failing_since == webhook.failing_since;
            now.disabled.is_none() && now.url == webhook.url && is_failing
        };
        let Some(mut webhook) = found.filter(is_still_true) else {
            return Ok(tx.rollback().await?);
        };
        webhook.disabled = Some(reason);
        webhook.updated_at = self.kernel.clock.now();
        webhook.version += 1;
        tx.update_webhook(&webhook).await?;
        let settings = to_json(&WebhookSettings::of(&webhook, &self.kernel.subkeys));
        let caller = Caller {
            reach: Reach::Platform,
            permissions: Vec::new(),
            actor: Actor::system(),
            client_id: None,
        };
        self.ledger
            .audit(&mut tx, &caller, Action::WebhookDisabled, subject(&webhook), settings.clone())
            .await?;
        let facts = json!({
            "webhook_id": webhook.webhook_id,
            "workspace_id": webhook.workspace_id,
            "name": webhook.host,
            "url": settings.get("url"),
            "reason": reason.as_str(),
        });
        for operator in administrators(&mut tx, &webhook.workspace_id).await? {
            let kind = MailKind::WebhookDisabled;
            self.ledger.mail_operator(&mut tx, &caller, &operator, kind, facts.clone()).await?;
        }
        self.ledger.commit(tx).await
    }
}

/// The active administrators of a workspace; those of the platform if the workspace has none.
async fn administrators(tx: &mut Tx, workspace_id: &str) -> Result<Vec<Operator>, Error> {
    if workspace_id != PLATFORM {
        let own = tx.active_operators_with(WORKSPACE_ADMIN, Some(workspace_id)).await?;
        if !own.is_empty() {
            return Ok(own);
        }
    }
    Ok(tx.active_operators_with(PLATFORM_ADMIN, None).await?)
}
