//! Queues what webhooks are sent: events and changed status lists, in the transaction of the change, and checkpoints of the
//! audit trail; each for every webhook that wants it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Ledger;
use crate::kernel::{Error, to_json};
use crate::model::audit::AuditEvent;
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::delivery::{Channel, NewDelivery};
use crate::model::status::status_list_uri;
use crate::model::webhook::{AUDIT_CHECKPOINT, STATUS_LIST_CHANGED};
use crate::model::workspace::PLATFORM;
use crate::storage::{Listener, Tx};

/// The body of a request is shorter than this, in bytes.
const BODY_MAX: usize = 20_000;

impl Ledger {
    /// Queues the events of a transaction, and its changed status lists, for the webhooks that want them. Costs one indexed
    /// read if there are events, and one if there are changed lists.
    pub(super) async fn fan_out(&self, tx: &mut Tx) -> Result<(), Error> {
        self.fan_out_events(tx).await?;
        self.fan_out_status_lists(tx).await
    }

    async fn fan_out_events(&self, tx: &mut Tx) -> Result<(), Error> {
        if tx.events().is_empty() {
            return Ok(());
        }
        let mut workspaces = BTreeSet::from([PLATFORM.to_owned()]);
        workspaces.extend(tx.events().iter().filter_map(|event| event.workspace_id.clone()));
        let workspaces: Vec<&str> = workspaces.iter().map(String::as_str).collect();
        let listeners = tx.webhooks_of(&workspaces).await?;
        if listeners.is_empty() {
            return Ok(());
        }
        let mut new = Vec::new();
        for event in tx.events() {
            let mut body = None;
            for listener in listeners.iter().filter(|listener| wants(listener, event)) {
                let body = body.get_or_insert_with(|| body_of(event)).clone();
                let about = event.client_id.as_deref().unwrap_or(&event.target);
                new.push(self.delivery(listener, &event.action, about, body)?);
            }
        }
        tx.enqueue_deliveries(&new).await?;
        Ok(())
    }

    /// Queues one delivery for each list, webhook and second. It is sent at least a second after the change: by then every
    /// process publishes the changed list.
    async fn fan_out_status_lists(&self, tx: &mut Tx) -> Result<(), Error> {
        let mut lists = tx.changed_status_lists();
        if lists.is_empty() {
            return Ok(());
        }
        // Sorted, so that two transactions never wait for each other's rows.
        lists.sort_unstable();
        let listeners = tx.webhooks_to_status_lists().await?;
        let second = self.kernel.clock.now();
        let mut new = Vec::new();
        for list in lists {
            for listener in &listeners {
                let uri = status_list_uri(&self.kernel.policy.audiences.issuer, list);
                // The end of the second, so that it is not before any change in it.
                let data = json!({ "uri": uri, "changed_at": to_rfc3339(second + 1) });
                new.push(NewDelivery {
                    unique_key: Some(format!(
                        "{STATUS_LIST_CHANGED}:{list}:{}:{second}",
                        listener.webhook_id
                    )),
                    first_attempt_at: second + 2,
                    ..self.delivery(
                        listener,
                        STATUS_LIST_CHANGED,
                        &uri,
                        message(STATUS_LIST_CHANGED, second, &data),
                    )?
                });
            }
        }
        tx.enqueue_deliveries(&new).await?;
        Ok(())
    }

    /// Queues a checkpoint of the audit trail, once for each webhook that names the event `audit.checkpoint`.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn announce_checkpoint(
        &self,
        tx: &mut Tx,
        origin: &str,
        size: i64,
        checkpoint: &str,
    ) -> Result<(), Error> {
        let data = json!({ "origin": origin, "size": size, "checkpoint": checkpoint });
        let body = message(AUDIT_CHECKPOINT, self.kernel.clock.now(), &data);
        let mut new = Vec::new();
        for listener in tx.webhooks_to_checkpoints().await? {
            new.push(NewDelivery {
                unique_key: Some(format!("{AUDIT_CHECKPOINT}:{origin}:{size}:{}", listener.webhook_id)),
                ..self.delivery(&listener, AUDIT_CHECKPOINT, origin, body.clone())?
            });
        }
        tx.enqueue_deliveries(&new).await?;
        Ok(())
    }

    fn delivery(
        &self,
        listener: &Listener,
        kind: &str,
        about: &str,
        body: String,
    ) -> Result<NewDelivery, Error> {
        let now = self.kernel.clock.now();
        Ok(NewDelivery {
            delivery_id: self.kernel.new_id()?,
            channel: Channel::Webhook,
            kind: kind.to_owned(),
            recipient: listener.webhook_id.clone(),
            host: listener.host.clone(),
            // The workspace of the webhook, not of the event: a workspace must not see deliveries to webhooks of the platform.
            workspace_id: Some(listener.workspace_id.clone()),
            about_id: about.to_owned(),
            body,
            unique_key: None,
            occurrences: 1,
            queued_at: now,
            first_attempt_at: now,
        })
    }
}

/// Whether a webhook gets an event. That a request to a webhook is given up is reported by mail, not to webhooks.
fn wants(listener: &Listener, event: &AuditEvent) -> bool {
    let is_within =
        listener.workspace_id == PLATFORM || event.workspace_id.as_deref() == Some(&*listener.workspace_id);
    let is_of_webhook = event.action == "delivery.failed"
        && event.detail.get("channel").and_then(Value::as_str) == Some(Channel::Webhook.as_str());
    is_within && !is_of_webhook && listener.events.include(&event.action)
}

/// The body of an event. If it is too long, the largest members of `detail` are left out, and `detail_omitted` names them: the
/// audit trail has them.
fn body_of(event: &AuditEvent) -> String {
    let mut data = match to_json(event) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    // The body has these two as `type` and `timestamp`.
    data.remove("action");
    data.remove("at");
    let mut omitted = Vec::new();
    loop {
        let body = message(&event.action, event.at, &Value::Object(data.clone()));
        let Some(detail) = data.get_mut("detail").and_then(Value::as_object_mut) else { return body };
        let largest = detail.iter().max_by_key(|(_, value)| value.to_string().len());
        match largest.map(|(name, _)| name.clone()) {
            Some(name) if body.len() >= BODY_MAX => {
                detail.remove(&name);
                omitted.push(name);
                data.insert("detail_omitted".to_owned(), json!(omitted));
            }
            _ => return body,
        }
    }
}

/// The body of a request, as JSON.
fn message(kind: &str, at: UnixSeconds, data: &Value) -> String {
    json!({ "type": kind, "timestamp": to_rfc3339(at), "data": data }).to_string()
}
