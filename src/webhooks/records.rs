//! Records of webhooks: managers write those of the workspaces within their reach, readers read them.

use super::Webhooks;
use super::change::{NoMembers, WebhookChange};
use super::dto::{CreatedWebhook, ReplacedKeys, WebhookSettings};
use super::keys::{Keys, SigningSecret};
use crate::kernel::{Error, Manager, Precondition, Reader, to_json};
use crate::ledger::{HeldSecret, SaveReply, SecretKind, Subject, differences};
use crate::model::audit::Action;
use crate::model::ids;
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::webhook::{Events, MAX_WEBHOOKS, OLD_KEYS_SIGN_SECONDS, Webhook};
use crate::storage::Tx;

const WEBHOOK: &str = "webhook";

impl Webhooks {
    /// A page of the webhooks of a workspace, in the order in which they were created.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn webhooks(
        &self,
        caller: &Reader,
        workspace_id: &str,
        page: &Page,
    ) -> Result<Items<Webhook>, Error> {
        let storage = &self.kernel.storage;
        let exists = ids::is_workspace_id(workspace_id)
            && storage.workspace(&caller.reach, workspace_id).await?.is_some();
        if !exists {
            return Err(Error::NotFound("workspace"));
        }
        Ok(storage.webhooks(workspace_id, page).await?)
    }

    /// A webhook within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn webhook(&self, caller: &Reader, webhook_id: &str) -> Result<Webhook, Error> {
        let found = self.kernel.storage.webhook(&caller.reach, known_form(webhook_id)?).await?;
        found.ok_or(Error::NotFound(WEBHOOK))
    }

    /// Creates a webhook and its keys.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] with every bad field; [`Error::Conflict`] if the workspace has as many as it
    /// may; [`Error::AlreadyAnswered`], [`Error::Storage`], [`Error::Crypto`].
    pub async fn create_webhook(
        &self,
        caller: &Manager,
        workspace_id: &str,
        change: &WebhookChange,
        save: Option<SaveReply<'_, CreatedWebhook>>,
    ) -> Result<CreatedWebhook, Error> {
        if !ids::is_workspace_id(workspace_id) {
            return Err(Error::NotFound("workspace"));
        }
        let now = self.kernel.clock.now();
        let keys = Keys::of(self.kernel.random.fill()?);
        let mut webhook = Webhook {
            webhook_id: self.kernel.new_id()?,
            workspace_id: workspace_id.to_owned(),
            url: String::new(),
            host: String::new(),
            events: Events::Usual,
            description: None,
            disabled: None,
            public_key: keys.public_key()?,
            failing_since: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let mut tx = self.kernel.storage.begin().await?;
        // With this lock, requests that add a webhook take turns, so that none exceeds the limit that is checked below.
        tx.lock_workspace(&caller.reach, workspace_id).await?.ok_or(Error::NotFound("workspace"))?;
        let mut errors = change.parse_errors.clone();
        if change.url.is_absent() {
            errors.add("/url", "is required");
        }
        change.apply(&mut webhook, &self.outbound, &mut errors);
        Error::if_any(errors)?;
        let count = tx.count_webhooks(workspace_id).await?;
        if usize::try_from(count).is_ok_and(|count| count >= MAX_WEBHOOKS) {
            return Err(Error::Conflict(format!(
                "the workspace has {MAX_WEBHOOKS} webhooks, as many as it may have: delete one first"
            )));
        }
        tx.insert_webhook(&webhook).await?;
        // No older keys exist, so `now` has no effect.
        let signing_secret = self.store_keys(&mut tx, &webhook, &keys, now).await?;
        let detail = to_json(&WebhookSettings::of(&webhook, &self.kernel.subkeys));
        self.ledger.audit(&mut tx, caller, Action::WebhookCreated, subject(&webhook), detail).await?;
        let created = CreatedWebhook { webhook, signing_secret };
        let holds = HeldSecret::new(SecretKind::SigningSecret, subject(&created.webhook));
        self.ledger.save_reply(&mut tx, save.as_ref(), &created, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(created)
    }

    /// Changes, disables or enables a webhook. If nothing changes, nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`]; [`Error::Invalid`] with every bad field; [`Error::Storage`].
    pub async fn change_webhook(
        &self,
        caller: &Manager,
        webhook_id: &str,
        expected: &Precondition,
        change: &WebhookChange,
    ) -> Result<Webhook, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let before = lock(&mut tx, &caller.reach, webhook_id).await?;
        expected.check(before.version)?;
        let mut after = before.clone();
        let mut errors = change.parse_errors.clone();
        change.apply(&mut after, &self.outbound, &mut errors);
        Error::if_any(errors)?;
        if after == before {
            tx.rollback().await?;
            return Ok(before);
        }
        after.updated_at = self.kernel.clock.now();
        after.version += 1;
        tx.update_webhook(&after).await?;
        let shown = |webhook| WebhookSettings::of(webhook, &self.kernel.subkeys);
        let detail = differences(&shown(&before), &shown(&after));
        self.ledger.audit(&mut tx, caller, Action::WebhookUpdated, subject(&after), detail).await?;
        self.ledger.commit(tx).await?;
        Ok(after)
    }

    /// Replaces both keys of a webhook. The replaced keys sign for one more day, too.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::AlreadyAnswered`], [`Error::Storage`], [`Error::Crypto`].
    pub async fn replace_keys(
        &self,
        caller: &Manager,
        webhook_id: &str,
        request: &NoMembers,
        save: Option<SaveReply<'_, ReplacedKeys>>,
    ) -> Result<ReplacedKeys, Error> {
        Error::if_any(request.parse_errors.clone())?;
        let keys = Keys::of(self.kernel.random.fill()?);
        let mut tx = self.kernel.storage.begin().await?;
        let mut webhook = lock(&mut tx, &caller.reach, webhook_id).await?;
        let now = self.kernel.clock.now();
        let old_sign_until = now.saturating_add(OLD_KEYS_SIGN_SECONDS);
        webhook.public_key = keys.public_key()?;
        webhook.updated_at = now;
        webhook.version += 1;
        tx.update_webhook(&webhook).await?;
        let signing_secret = self.store_keys(&mut tx, &webhook, &keys, old_sign_until).await?;
        let detail = serde_json::json!({ "public_key": webhook.public_key });
        self.ledger.audit(&mut tx, caller, Action::WebhookKeysReplaced, subject(&webhook), detail).await?;
        let replaced = ReplacedKeys { webhook, signing_secret, old_sign_until };
        let holds = HeldSecret::new(SecretKind::SigningSecret, subject(&replaced.webhook));
        self.ledger.save_reply(&mut tx, save.as_ref(), &replaced, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(replaced)
    }

    async fn store_keys(
        &self,
        tx: &mut Tx,
        webhook: &Webhook,
        keys: &Keys,
        old_sign_until: i64,
    ) -> Result<SigningSecret, Error> {
        let key_id = self.kernel.new_id()?;
        let (random, webhook_id) = (&self.kernel.random, &webhook.webhook_id);
        let sealed = self.kernel.subkeys.seal_webhook_keys(random, webhook_id, &key_id, keys.bytes())?;
        tx.replace_webhook_keys(webhook, &key_id, &sealed, old_sign_until).await?;
        Ok(keys.signing_secret())
    }

    /// Deletes a webhook with its keys and its deliveries.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`], [`Error::Storage`].
    pub async fn delete_webhook(
        &self,
        caller: &Manager,
        webhook_id: &str,
        expected: &Precondition,
    ) -> Result<(), Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let webhook = lock(&mut tx, &caller.reach, webhook_id).await?;
        expected.check(webhook.version)?;
        tx.delete_webhook(webhook_id).await?;
        let detail = to_json(&WebhookSettings::of(&webhook, &self.kernel.subkeys));
        self.ledger.audit(&mut tx, caller, Action::WebhookDeleted, subject(&webhook), detail).await?;
        self.ledger.commit(tx).await?;
        self.ledger.forget_deliveries(webhook_id).await;
        Ok(())
    }
}

/// A webhook as the subject of an audit event.
pub(super) fn subject(webhook: &Webhook) -> Subject<'_> {
    Subject::of_workspace(&webhook.workspace_id, &webhook.webhook_id)
}

/// A webhook within reach, locked, or "not found".
pub(super) async fn lock(tx: &mut Tx, reach: &Reach, webhook_id: &str) -> Result<Webhook, Error> {
    tx.lock_webhook(reach, known_form(webhook_id)?).await?.ok_or(Error::NotFound(WEBHOOK))
}

/// `webhook_id`, or "not found" if it cannot be the id of a webhook.
fn known_form(webhook_id: &str) -> Result<&str, Error> {
    if ids::is_uuid(webhook_id) { Ok(webhook_id) } else { Err(Error::NotFound(WEBHOOK)) }
}
