//! Reminds the contacts of an API client 30, 7 and 1 days before the client, one of its secrets or one of its recorded tokens
//! ends. The background work of a serving process runs this.
//!
//! Ends are looked at in order. For each kind of end and each number of days, the database has the last end that was looked at.
//! This position only moves forward, in the transaction that writes the reminders. So each reminder is sent once, however many
//! processes run, and a reminder that was missed while none ran is sent late. If several reminders of one end were missed, only
//! the nearest is sent, because the range of 7 days begins where that of 1 day ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::kernel::{Caller, Error, Kernel};
use crate::ledger::{Ledger, Subject};
use crate::model::audit::{Action, Actor};
use crate::model::client::ApiClient;
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::mail::MailKind;
use crate::model::reach::Reach;
use crate::model::reminder::{End, Ending, EndingKind, REMINDED_DAYS};
use crate::model::usage::DAY;
use crate::storage::Tx;

/// How many ends a transaction looks at, at most.
const BATCH: u32 = 100;

/// Sends reminders.
#[derive(Debug)]
pub struct Reminders {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
}

impl Reminders {
    pub(crate) fn new(kernel: Arc<Kernel>, ledger: Arc<Ledger>) -> Self {
        Self { kernel, ledger }
    }

    /// Queues the reminders that are due, in small transactions. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was queued before the error stays queued. [`Error::Clock`] while the clock is doubtful: with a
    /// clock that is far ahead, reminders would be skipped.
    pub async fn remind(&self) -> Result<usize, Error> {
        let mut reminders = 0;
        loop {
            let (sent, is_done) = self.step().await?;
            reminders += sent;
            if is_done {
                return Ok(reminders);
            }
        }
    }

    /// Looks at the next ends of each kind. Returns how many reminders it queued, and whether no more are due.
    async fn step(&self) -> Result<(usize, bool), Error> {
        let now = self.ledger.trusted_now()?;
        let mut tx = self.kernel.storage.begin().await?;
        let reached = tx.take_turn_of_reminders().await?;
        let (mut sent, mut room) = (0, BATCH);
        for kind in EndingKind::ALL {
            let mut due = Vec::new();
            // Each range begins where the one before ended: what ends within a day is not in the range of 7 days.
            let mut floor = now;
            for days in REMINDED_DAYS {
                let until = now.saturating_add(days * DAY);
                let was = reached.get(&(kind, days)).cloned().unwrap_or(End::after(0));
                let from = was.clone().max(End::after(floor));
                floor = until;
                if room == 0 || from > End::after(until) {
                    continue;
                }
                let (found, last) = tx.ending(kind, &from, until, room).await?;
                room = if last.is_some() { 0 } else { room - u32::try_from(found.len()).unwrap_or(room) };
                let to = last.unwrap_or(End::after(until));
                if to > was {
                    tx.reminders_reached(kind, days, &to).await?;
                }
                due.extend(
                    found.into_iter().filter(|ending| is_due(ending, days)).map(|ending| (days, ending)),
                );
            }
            sent += self.send(&mut tx, kind, due, now).await?;
        }
        self.ledger.commit(tx).await?;
        Ok((sent, room > 0))
    }

    /// Writes the event of each reminder, and queues one mail to the contacts of each client. Returns how many events it wrote.
    async fn send(
        &self,
        tx: &mut Tx,
        kind: EndingKind,
        due: Vec<(i64, Ending)>,
        now: UnixSeconds,
    ) -> Result<usize, Error> {
        let mut by_client: BTreeMap<String, Vec<(i64, Ending)>> = BTreeMap::new();
        for (days, ending) in due {
            by_client.entry(ending.client_id.clone()).or_default().push((days, ending));
        }
        if by_client.is_empty() {
            return Ok(0);
        }
        let ids: Vec<&str> = by_client.keys().map(String::as_str).collect();
        let clients = tx.clients_with_ids(&ids).await?;
        let mut sent = 0;
        for client in clients {
            let Some(endings) = by_client.get(&client.client_id) else { continue };
            // The client has expired, and its secrets and tokens have ended with it.
            if kind != EndingKind::Client && client.expires_at.is_some_and(|end| end <= now) {
                continue;
            }
            for (days, ending) in endings {
                let subject = Subject::of_client(&client, &ending.end.id);
                let mut detail = facts(ending);
                detail.insert("label".to_owned(), client.label.clone().into());
                detail.insert("days".to_owned(), (*days).into());
                self.ledger.audit(tx, &itself(), action(kind), subject, detail.into()).await?;
                sent += 1;
            }
            self.mail(tx, kind, &client, endings).await?;
        }
        Ok(sent)
    }

    /// Queues one mail about all of `endings`, which are sorted by when they end.
    async fn mail(
        &self,
        tx: &mut Tx,
        kind: EndingKind,
        client: &ApiClient,
        endings: &[(i64, Ending)],
    ) -> Result<(), Error> {
        let Some(((days, first), others)) = endings.split_first() else { return Ok(()) };
        let mut facts = facts(first);
        facts.insert("is_disabled".to_owned(), client.disabled_at.is_some().into());
        facts.insert("is_suspended".to_owned(), first.is_suspended.into());
        if !others.is_empty() {
            let also = others.iter().map(|(_, ending)| Value::Object(self::facts(ending)));
            facts.insert("also".to_owned(), also.collect());
        }
        let End { at, id } = &first.end;
        let key = format!("{}:{id}:{at}:{days}", action(kind).as_str());
        self.ledger.mail_contacts_once(tx, &itself(), client, mail_kind(kind), facts.into(), &key).await
    }
}

/// Whether a reminder makes sense: the secret, client or token already existed that many days before its end, and has not been
/// renewed.
fn is_due(ending: &Ending, days: i64) -> bool {
    ending.began_at < ending.end.at - days * DAY && !ending.is_renewed
}

/// What the audit event and the mail say of an end.
fn facts(ending: &Ending) -> Map<String, Value> {
    let mut facts = Map::new();
    let mut add =
        |name: &str, value: Option<Value>| facts.extend(value.map(|value| (name.to_owned(), value)));
    add("ends_at", Some(to_rfc3339(ending.end.at).into()));
    add("last_four", ending.last_four.as_deref().map(Value::from));
    add("last_used_at", ending.last_used_at.map(to_rfc3339).map(Value::from));
    add("scope", ending.scope.as_deref().map(Value::from));
    // Only a token has a scope.
    if ending.scope.is_some() {
        add("jti", Some(json!(ending.end.id)));
        add("issued_at", Some(to_rfc3339(ending.began_at).into()));
    }
    facts
}

/// The caller in the audit trail: the system, since nobody requests a reminder.
fn itself() -> Caller {
    Caller { reach: Reach::Platform, permissions: Vec::new(), actor: Actor::system(), client_id: None }
}

fn action(kind: EndingKind) -> Action {
    match kind {
        EndingKind::Secret => Action::SecretExpiring,
        EndingKind::Client => Action::ClientExpiring,
        EndingKind::Token => Action::TokenExpiring,
    }
}

fn mail_kind(kind: EndingKind) -> MailKind {
    match kind {
        EndingKind::Secret => MailKind::SecretExpiring,
        EndingKind::Client => MailKind::ClientExpiring,
        EndingKind::Token => MailKind::TokenExpiring,
    }
}
