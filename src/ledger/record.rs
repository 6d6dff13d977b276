//! Writes the audit event of a change, and the mails to the client's contacts, in the transaction of the change.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Ledger;
use super::subject::Subject;
use super::tree::leaf_hash;
use crate::kernel::{Caller, Error, to_json};
use crate::model::audit::{Action, AuditEvent};
use crate::model::audit_entry::{Entry, entry_text};
use crate::model::client::ApiClient;
use crate::model::mail::{Mail, MailKind};
use crate::model::operator::Operator;
use crate::storage::{Changes, Tx};

impl Ledger {
    /// Records the audit event of a change in its transaction, which writes it last. `detail` is an object without secrets.
    #[expect(clippy::unused_async, reason = "a step of a transaction like the others: callers await it")]
    pub(crate) async fn audit(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        action: Action,
        subject: Subject<'_>,
        detail: Value,
    ) -> Result<(), Error> {
        let event = AuditEvent {
            event_id: self.kernel.new_id()?,
            at: self.kernel.clock.now(),
            actor: caller.actor.clone(),
            action: action.as_str().to_owned(),
            workspace_id: subject.workspace_id.map(str::to_owned),
            client_id: subject.client_id.map(str::to_owned),
            target: subject.target.to_owned(),
            detail: object(detail),
        };
        let text = entry_text(&event, self.kernel.random.fill_id()?, false);
        let entry = Entry { leaf: leaf_hash(text.as_bytes()), text };
        tx.audit(event, entry);
        Ok(())
    }

    /// Queues a mail to each contact of a client in the transaction of the change that it reports.
    pub(crate) async fn mail_contacts(
        &self,
        tx: &mut Tx,
        client: &ApiClient,
        kind: MailKind,
        facts: Value,
    ) -> Result<(), Error> {
        let facts = object(facts);
        let mut mails = Vec::with_capacity(client.notification_emails.len());
        for recipient in &client.notification_emails {
            mails.push(Mail {
                mail_id: self.kernel.new_id()?,
                queued_at: self.kernel.clock.now(),
                kind,
                recipient: recipient.clone(),
                client_id: client.client_id.clone(),
                workspace_id: Some(client.workspace_id.clone()),
                facts: facts.clone(),
            });
        }
        Ok(tx.enqueue(&mails).await?)
    }

    /// Queues a mail to an operator in the transaction of the change that it reports.
    pub(crate) async fn mail_operator(
        &self,
        tx: &mut Tx,
        operator: &Operator,
        kind: MailKind,
        facts: Value,
    ) -> Result<(), Error> {
        let mail = Mail {
            mail_id: self.kernel.new_id()?,
            queued_at: self.kernel.clock.now(),
            kind,
            recipient: operator.email.clone(),
            client_id: operator.operator_id.clone(),
            workspace_id: None,
            facts: object(facts),
        };
        Ok(tx.enqueue(&[mail]).await?)
    }

    /// Queues what webhooks are sent of a change, commits it, and invalidates this process's caches before the caller replies.
    pub(crate) async fn commit(&self, mut tx: Tx) -> Result<(), Error> {
        self.fan_out(&mut tx).await?;
        let changes: Changes = tx.commit().await?;
        self.apply(&changes);
        Ok(())
    }
}

/// Each member that a change changed, with its old and its new value, for the audit trail.
pub(crate) fn differences(before: &impl Serialize, after: &impl Serialize) -> Value {
    let (mut before, after) = (object(to_json(before)), object(to_json(after)));
    let differing = after.into_iter().filter_map(|(name, new)| {
        let old = before.remove(&name).unwrap_or_default();
        (old != new).then(|| (name, json!({"old": old, "new": new})))
    });
    json!({"changed": Value::Object(differing.collect())})
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
