//! Writes the audit event of a change, and the mails to the client's contacts or to an operator, in the transaction of the
//! change, and commits it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Ledger;
use super::subject::Subject;
use super::tree::leaf_hash;
use crate::kernel::{Caller, Error, to_json};
use crate::model::audit::{Action, AuditEvent};
use crate::model::audit_entry::{Entry, entry_text};
use crate::model::client::ApiClient;
use crate::model::delivery::{Channel, MAIL_HOST, NewDelivery};
use crate::model::mail::{Mail, MailKind};
use crate::model::operator::Operator;
use crate::storage::{Changes, Tx};

impl Ledger {
    /// Adds the audit event of a change to its transaction, which writes the event last. `detail` is an object without secrets.
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

    /// Queues a mail to each contact of a client, in the transaction of the change that the mail reports. Besides `facts`,
    /// which depend on the kind of mail, the mail names the client, and who made the change, from where and when.
    pub(crate) async fn mail_contacts(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        client: &ApiClient,
        kind: MailKind,
        facts: Value,
    ) -> Result<(), Error> {
        let mails = self.mails(tx, caller, client, kind, facts).await?;
        Ok(tx.enqueue(&mails).await?)
    }

    /// Queues a mail to each contact of a client about something that a job reports. Such a mail is never merged with others,
    /// and each contact gets it once for each `key`.
    pub(crate) async fn mail_contacts_once(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        client: &ApiClient,
        kind: MailKind,
        facts: Value,
        key: &str,
    ) -> Result<(), Error> {
        let mails = self.mails(tx, caller, client, kind, facts).await?;
        let once = mails.into_iter().map(|mail| NewDelivery {
            unique_key: Some(format!("{key}:{}", mail.recipient)),
            channel: Channel::Mail,
            kind: kind.as_str().to_owned(),
            host: MAIL_HOST.to_owned(),
            body: Value::Object(mail.facts).to_string(),
            delivery_id: mail.mail_id,
            occurrences: 1,
            recipient: mail.recipient,
            workspace_id: mail.workspace_id,
            about_id: mail.client_id,
            queued_at: mail.queued_at,
            first_attempt_at: mail.queued_at,
        });
        tx.enqueue_deliveries(&once.collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// A mail to each contact of a client.
    async fn mails(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        client: &ApiClient,
        kind: MailKind,
        facts: Value,
    ) -> Result<Vec<Mail>, Error> {
        if client.notification_emails.is_empty() {
            return Ok(Vec::new());
        }
        let mut facts = object(facts);
        facts.insert("label".to_owned(), client.label.clone().into());
        facts.insert("workspace_id".to_owned(), client.workspace_id.clone().into());
        // The label of a client that deletes itself can no longer be read from the database.
        let own = caller.client_id.as_deref() == Some(&client.client_id);
        self.add_author(tx, caller, own.then_some(client.label.as_str()), &mut facts).await?;
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
        Ok(mails)
    }

    /// Queues a mail to an operator in the transaction of the change that it reports.
    pub(crate) async fn mail_operator(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operator: &Operator,
        kind: MailKind,
        facts: Value,
    ) -> Result<(), Error> {
        let mut facts = object(facts);
        facts.entry("name").or_insert_with(|| operator.name.clone().into());
        self.add_author(tx, caller, None, &mut facts).await?;
        let mail = Mail {
            mail_id: self.kernel.new_id()?,
            queued_at: self.kernel.clock.now(),
            kind,
            recipient: operator.email.clone(),
            client_id: operator.operator_id.clone(),
            workspace_id: None,
            facts,
        };
        Ok(tx.enqueue(&[mail]).await?)
    }

    /// Adds to the facts of a mail who made the change, from where and when. `name` is their name, if it is known already.
    async fn add_author(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: Option<&str>,
        facts: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        let (kind, id) = caller.actor.name.split_once(':').unwrap_or((&caller.actor.name, ""));
        let found = match (kind, name) {
            (_, Some(name)) => Some(name.to_owned()),
            ("operator", None) => tx.name_of_operator(id).await?,
            ("client", None) => tx.label_of_client(id).await?,
            _ => None,
        };
        let mut by = Map::from_iter([("kind".to_owned(), kind.into())]);
        by.extend((!id.is_empty()).then(|| ("id".to_owned(), id.into())));
        by.extend(found.map(|name| ("name".to_owned(), name.into())));
        facts.insert("by".to_owned(), by.into());
        facts.insert("at".to_owned(), self.kernel.clock.now().into());
        if let Some(address) = &caller.actor.source_ip {
            facts.insert("source_ip".to_owned(), address.clone().into());
        }
        Ok(())
    }

    /// Queues what webhooks are sent about a change, commits the change, and invalidates this process's caches.
    pub(crate) async fn commit(&self, mut tx: Tx) -> Result<(), Error> {
        self.fan_out(&mut tx).await?;
        let changes: Changes = tx.commit().await?;
        self.apply(&changes);
        Ok(())
    }
}

/// Each member that differs, with its old and its new value, for the audit trail.
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
