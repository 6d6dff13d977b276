//! Client secrets: up to five live ones per client, so that a new one can be rolled out before the old one expires. For
//! the management API, the console and the command line.

use serde::Serialize;
use serde_json::{Value, json};

use super::ahead::EndedBefore;
use super::change::future;
use super::dto::in_the_clear;
use super::update::mark_changed;
use super::{Clients, lock_client};
use crate::kernel::{Error, Fields, Manager, Reader};
use crate::ledger::{HeldSecret, SaveReply, SecretKind, Subject};
use crate::model::audit::Action;
use crate::model::client::ClientRecord;
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::field_errors::FieldErrors;
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::model::page::{Items, Page};
use crate::model::secret::{ClientSecret, MAX_LIVE_SECRETS, PlainSecret};
use crate::storage::{Change, Ending};

/// How long the other secrets may stay valid after a new one is created, in seconds: up to thirty days.
const OVERLAP_RANGE: std::ops::RangeInclusive<i64> = 0..=2_592_000;

/// A request for a new secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSecret {
    /// When it expires, RFC 3339; `None` for never.
    pub expires_at: Option<String>,
    /// Every other secret expires in this many seconds, unless it expires sooner; with 0 at once. `None` leaves them as
    /// they are.
    pub expire_others_after_seconds: Option<i64>,
    /// Whether all tokens of the client are revoked too.
    pub revoke_tokens: Option<bool>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

/// A new secret, which is shown only in this reply.
#[derive(Debug, Serialize)]
pub struct CreatedSecret {
    /// Its record.
    #[serde(flatten)]
    pub record: ClientSecret,
    /// The secret itself.
    #[serde(rename = "client_secret", serialize_with = "in_the_clear")]
    pub secret: PlainSecret,
}

impl Clients {
    /// Gives a client within reach another secret. Records of expired secrets are deleted.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it would be the sixth live one, [`Error::Invalid`], [`Error::NotFound`], [`Error::Storage`];
    /// [`Error::LacksSome`] if the client has more permissions than the caller.
    pub async fn add_secret(
        &self,
        caller: &Manager,
        client_id: &str,
        wanted: &NewSecret,
        save: Option<SaveReply<'_, CreatedSecret>>,
    ) -> Result<CreatedSecret, Error> {
        let mut ahead = EndedBefore::default();
        // Every rule is checked before tokens are revoked in steps, and again after them.
        let (mut tx, mut client, now, expires_at, has_others) = loop {
            let mut tx = self.kernel.storage.begin().await?;
            let client = lock_client(&mut tx, &caller.reach, client_id).await?;
            caller.must_not_step_up(&client.permissions)?;
            let now = self.kernel.clock.now();
            let expires_at = wanted.check(now)?;
            tx.delete_expired_secrets(client_id, now).await?;
            let live = tx.secrets(client_id).await?.len();
            if live >= MAX_LIVE_SECRETS && wanted.expire_others_after_seconds != Some(0) {
                return Err(Error::Conflict(format!(
                    "the client has {MAX_LIVE_SECRETS} live secrets, which is the maximum: delete one, or repeat with \
                     \"expire_others_after_seconds\": 0 to let them all expire immediately"
                )));
            }
            let ready = match wanted.revoke_tokens {
                Some(true) => self.ending_few_tokens(tx, caller, &client, Ending::All, &mut ahead).await?,
                Some(false) | None => Some(tx),
            };
            if let Some(tx) = ready {
                break (tx, client, now, expires_at, live > 0);
            }
        };
        let others_end_at = wanted.expire_others_after_seconds.map(|seconds| now.saturating_add(seconds));
        let (record, secret) = self.new_secret(client_id, expires_at)?;
        tx.insert_secret(&record).await?;
        if let Some(at) = others_end_at {
            tx.expire_other_secrets(client_id, &record.secret_id, at).await?;
        }
        let revoked_tokens = match wanted.revoke_tokens {
            Some(true) => Some(self.revoke_all_tokens(&mut tx, &mut client, now).await? + ahead.revoked),
            Some(false) | None => None,
        };
        mark_changed(&mut client, now);
        tx.update_client(&client).await?;

        let others_end_at = others_end_at.filter(|_| has_others).map(to_rfc3339);
        let facts = json!({
            "label": client.label,
            "last_four": record.last_four,
            "expires_at": expires_at.map(to_rfc3339),
            "others_expire_at": others_end_at,
            "revoked_tokens": revoked_tokens,
        });
        let subject = Subject::of_client(&client, &record.secret_id);
        self.ledger.audit(&mut tx, caller, Action::SecretCreated, subject, facts.clone()).await?;
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::SecretCreated, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        let created = CreatedSecret { record, secret };
        let subject = Subject::of_client(&client, &created.record.secret_id);
        let holds = HeldSecret::new(SecretKind::ClientSecret, subject);
        self.ledger.save_reply(&mut tx, save.as_ref(), &created, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(created)
    }

    /// A page of the live secrets of a client within reach, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn secrets(
        &self,
        caller: &Reader,
        client_id: &str,
        page: &Page,
    ) -> Result<Items<ClientSecret>, Error> {
        let secrets = self.client(caller, client_id).await?.secrets;
        Ok(Items::of_whole_list(secrets, page, |secret| secret.secret_id.clone()))
    }

    /// A live secret of a client within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn secret(
        &self,
        caller: &Reader,
        client_id: &str,
        secret_id: &str,
    ) -> Result<ClientSecret, Error> {
        let secrets = self.client(caller, client_id).await?.secrets;
        secrets
            .into_iter()
            .find(|secret| secret.secret_id == secret_id)
            .ok_or(Error::NotFound("client secret"))
    }

    /// Deletes a live secret. It is refused from then on.
    ///
    /// # Errors
    /// [`Error::Conflict`] for the last live one, unless `force`; [`Error::NotFound`], [`Error::Storage`].
    pub async fn delete_secret(
        &self,
        caller: &Manager,
        client_id: &str,
        secret_id: &str,
        force: bool,
    ) -> Result<(), Error> {
        if !ids::is_uuid(secret_id) {
            return Err(Error::NotFound("client secret"));
        }
        let mut tx = self.kernel.storage.begin().await?;
        let mut client = lock_client(&mut tx, &caller.reach, client_id).await?;
        let now = self.kernel.clock.now();
        let mut live = tx.secrets(client_id).await?;
        live.retain(|secret| secret.is_live(now));
        let secret = live
            .iter()
            .find(|secret| secret.secret_id == secret_id)
            .ok_or(Error::NotFound("client secret"))?;
        if live.len() == 1 && !force {
            return Err(Error::Conflict(
                "this is the client's last live secret: add another first, or repeat with ?force=true to leave the \
                 client without one"
                    .to_owned(),
            ));
        }
        tx.delete_secret(client_id, secret_id).await?;
        mark_changed(&mut client, now);
        tx.update_client(&client).await?;
        let facts = json!({ "label": client.label, "last_four": secret.last_four, "live_secrets_left": live.len() - 1 });
        let subject = Subject::of_client(&client, secret_id);
        self.ledger.audit(&mut tx, caller, Action::SecretDeleted, subject, facts.clone()).await?;
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::SecretDeleted, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        self.ledger.commit(tx).await
    }

    /// Generates a secret for a client. Only its MAC is stored.
    pub(super) fn new_secret(
        &self,
        client_id: &str,
        expires_at: Option<UnixSeconds>,
    ) -> Result<(ClientSecret, PlainSecret), Error> {
        let plain = PlainSecret::from_random(&self.kernel.random.fill()?);
        let record = ClientSecret {
            secret_id: self.kernel.new_id()?,
            client_id: client_id.to_owned(),
            mac: self.kernel.subkeys.secret_mac(plain.expose()).to_vec(),
            last_four: plain.last_four(),
            created_at: self.kernel.clock.now(),
            expires_at,
            last_used_at: None,
            last_used_from: None,
            first_used_at: None,
            used_last_24h: 0,
        };
        Ok((record, plain))
    }

    /// Stores the uses of secrets noted since the last call.
    ///
    /// # Errors
    /// [`Error::Storage`]; then the next call stores them.
    pub(crate) async fn write_last_used(&self) -> Result<(), Error> {
        self.last_used.write(async |rows| self.kernel.storage.touch_secrets(rows).await).await
    }

    /// Updates the times of last use in a record with uses that are noted but not stored yet.
    pub(super) fn add_pending_uses(&self, record: &mut ClientRecord) {
        for secret in &mut record.secrets {
            secret.last_used_at = secret.last_used_at.max(self.last_used.pending(&secret.secret_id));
            record.last_used_at = record.last_used_at.max(secret.last_used_at);
        }
    }
}

impl NewSecret {
    /// Reads the body of a request.
    pub(crate) fn read(body: &Value) -> Self {
        let (wanted, parse_errors) = Fields::read(body, |fields| Self {
            expires_at: fields.string("expires_at").value().cloned(),
            expire_others_after_seconds: fields.integer("expire_others_after_seconds").value().copied(),
            revoke_tokens: fields.boolean("revoke_tokens").value().copied(),
            parse_errors: FieldErrors::default(),
        });
        Self { parse_errors, ..wanted }
    }

    /// Checks the request; returns when the new secret expires.
    fn check(&self, now: UnixSeconds) -> Result<Option<UnixSeconds>, Error> {
        let mut errors = self.parse_errors.clone();
        let mut expires_at = None;
        match self.expires_at.as_deref().map(|instant| future(instant, now)) {
            None => {}
            Some(Ok(at)) => expires_at = Some(at),
            Some(Err(why)) => errors.add("/expires_at", why),
        }
        if self.expire_others_after_seconds.is_some_and(|seconds| !OVERLAP_RANGE.contains(&seconds)) {
            errors.add(
                "/expire_others_after_seconds",
                format!("must be from {} to {}", OVERLAP_RANGE.start(), OVERLAP_RANGE.end()),
            );
        }
        Error::if_any(errors)?;
        Ok(expires_at)
    }
}
