//! Writes the audit event of a change, and the mails to the client's contacts, in the transaction of the change.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Ledger;
use crate::kernel::{Caller, Error, to_json};
use crate::model::audit::{Action, AuditEvent};
use crate::model::client::ApiClient;
use crate::model::mail::{Mail, MailKind};
use crate::model::operator::Operator;
use crate::storage::{Changes, Tx};

/// The object of a change, for the audit trail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) workspace_id: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) target: &'a str,
}

impl<'a> Subject<'a> {
    /// Something of the platform: a product, a signing key.
    pub(crate) fn platform(target: &'a str) -> Self {
        Self { workspace_id: None, client_id: None, target }
    }

    /// A workspace.
    pub(crate) fn workspace(workspace_id: &'a str) -> Self {
        Self { workspace_id: Some(workspace_id), client_id: None, target: workspace_id }
    }

    /// Something that belongs to a workspace.
    pub(crate) fn of_workspace(workspace_id: &'a str, target: &'a str) -> Self {
        Self { target, ..Self::workspace(workspace_id) }
    }

    /// An API client.
    pub(crate) fn client(client: &'a ApiClient) -> Self {
        Self {
            workspace_id: Some(&client.workspace_id),
            client_id: Some(&client.client_id),
            target: &client.client_id,
        }
    }

    /// Something that belongs to an API client.
    pub(crate) fn of_client(client: &'a ApiClient, target: &'a str) -> Self {
        Self { target, ..Self::client(client) }
    }
}

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
        tx.audit(event);
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
