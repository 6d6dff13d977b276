//! Tokens: which are alive, how they are recorded, and how they are killed (`design.md` §5).
//!
//! A recorded token's row is written only if everything the token was made on still holds. Whether a token lives is
//! asked of the database every time, so that no memory can make a revoked one live.

use std::sync::Arc;

use mintmark_verifier::AccessTokenClaims;
use serde_json::json;

use super::clients::lock_client;
use super::record::Subject;
use super::{Caller, Credentials, Error, Registry};
use crate::model::audit::Action;
use crate::model::client::ActiveTokens;
use crate::model::clock::UnixSeconds;
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::model::reach::Reach;
use crate::model::status::Slot;
use crate::model::token::RecordedToken;
use crate::storage::{Change, IssueGuard, Revoked, Standing, TokenState, Tx};

/// Why a token whose signature and times are good is dead. For the log; verifiers are told only that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Its client is gone.
    ClientUnknown,
    /// Its client is disabled, has ended, or is in a suspended workspace.
    ClientMayNot,
    /// It was revoked, or replaced by another.
    Revoked,
    /// It belongs to a generation of its client that has ended.
    GenerationEnded,
    /// It says that it is recorded, and is not.
    NotRecorded,
}

impl Death {
    /// A stable name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientUnknown => "client_unknown",
            Self::ClientMayNot => "client_may_not",
            Self::Revoked => "revoked",
            Self::GenerationEnded => "generation_ended",
            Self::NotRecorded => "not_recorded",
        }
    }
}

/// What is known of a token whose signature and times are good.
#[derive(Debug)]
pub enum Judged {
    /// It lives.
    Live {
        /// Its client.
        client: Arc<Credentials>,
        /// Whether it has a row of its own.
        is_recorded: bool,
    },
    /// It does not.
    Dead(Death),
}

/// How a token was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// By this call.
    Now,
    /// It was dead before.
    Before,
}

impl Registry {
    /// Records a token, or says why it may not be born. The row is durable when this returns [`Standing::Good`]; tokens
    /// that are asked for at the same time share one commit ([`Registry::record_in_groups`]). If the token replaces others
    /// (`guard.replaces`), these are revoked in the same transaction.
    ///
    /// # Errors
    /// [`Error::Storage`]; then nothing is recorded.
    pub async fn record_token(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Result<Standing, Error> {
        match self.recorder.queue(token, active_tokens, guard) {
            Some(outcome) => self.recorder.outcome_of(outcome).await,
            // Nobody gathers: at the command line, and when the service is closing.
            None => self.record_alone(token, active_tokens, guard).await,
        }
    }

    /// Records a token in a transaction of its own.
    pub(super) async fn record_alone(
        &self,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
    ) -> Result<Standing, Error> {
        let mut tx = self.storage.begin().await?;
        let mut replaced = Vec::new();
        let standing = self.record_in(&mut tx, token, active_tokens, guard, &mut replaced).await?;
        if standing == Standing::Good {
            self.mark_revoked(&mut tx, &replaced).await?;
            self.commit(tx).await?;
        } else {
            tx.rollback().await?;
        }
        Ok(standing)
    }

    /// Records a token within a transaction, unless it may not be born. The tokens it replaces at once are added to
    /// `replaced`; the caller marks them when the rows of all its clients are locked.
    pub(super) async fn record_in(
        &self,
        tx: &mut Tx,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        guard: &IssueGuard,
        replaced: &mut Vec<Revoked>,
    ) -> Result<Standing, Error> {
        let standing = tx.record_token(token, guard).await?;
        if standing != Standing::Good {
            return Ok(standing);
        }
        if let ActiveTokens::Replace { grace_seconds } = active_tokens {
            let at = guard.now.saturating_add(grace_seconds);
            replaced.extend(tx.replace_tokens(&token.client_id, &token.jti, at, guard.now).await?);
        }
        Ok(standing)
    }

    /// Whether a token lives whose signature and times were found good by the published keys. Notes that a recorded one
    /// was asked about.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Storage`]: it cannot be known.
    pub async fn judge_token(&self, claims: &AccessTokenClaims) -> Result<Judged, Error> {
        self.must_be_fresh().await?;
        let now = self.clock.now();
        let Some(client) = self.credentials(&claims.client_id).await? else {
            return Ok(Judged::Dead(Death::ClientUnknown));
        };
        if client.standing(now).is_err() || *client.workspace_id != *claims.workspace_id {
            return Ok(Judged::Dead(Death::ClientMayNot));
        }
        Ok(match self.storage.token_state(&claims.jti).await? {
            TokenState::Recorded(token) if token.client_id != claims.client_id => {
                Judged::Dead(Death::NotRecorded)
            }
            TokenState::Recorded(token) if !token.is_live(now) => Judged::Dead(Death::Revoked),
            TokenState::Recorded(_) => {
                self.introspected.note(&Arc::from(claims.jti.as_str()), now);
                Judged::Live { client, is_recorded: true }
            }
            TokenState::Denied => Judged::Dead(Death::Revoked),
            TokenState::Unknown => match self.slot_of(claims) {
                Some(slot) if Some(slot) == client.slot => Judged::Live { client, is_recorded: false },
                Some(_) => Judged::Dead(Death::GenerationEnded),
                None => Judged::Dead(Death::NotRecorded),
            },
        })
    }

    /// The slot that a token of our own names.
    fn slot_of(&self, claims: &AccessTokenClaims) -> Option<Slot> {
        let place = &claims.status.as_ref()?.status_list;
        let number =
            place.uri.strip_prefix(&*self.policy.audiences.issuer)?.strip_prefix(STATUS_LISTS_PATH)?;
        Slot::from_columns(number.parse().ok(), i64::try_from(place.idx).ok())
    }

    /// Revokes one token of a client within reach (RFC 7009): its row, or a row that denies it until it ends. `claims`
    /// are those of a token whose signature is good.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the client, [`Error::Storage`]: then nothing is revoked.
    pub async fn revoke_presented_token(
        &self,
        caller: &Caller,
        claims: &AccessTokenClaims,
    ) -> Result<Revocation, Error> {
        let mut tx = self.storage.begin().await?;
        let client = lock_client(&mut tx, &caller.reach, &claims.client_id).await?;
        let now = self.clock.now();
        let is_stateless = client.slot.is_some() && self.slot_of(claims) == client.slot;
        let revoked = match (tx.revoke_token(&claims.jti, now).await?, claims.exp) {
            (Some(revoked), _) => {
                self.mark_revoked(&mut tx, std::slice::from_ref(&revoked)).await?;
                revoked.was_live
            }
            (None, Some(exp)) if is_stateless => tx.deny_token(&claims.jti, &claims.client_id, exp).await?,
            (None, _) => false,
        };
        if !revoked {
            // What was revoked or ended before stays as it is; a row that was touched all the same is written.
            self.commit(tx).await?;
            return Ok(Revocation::Before);
        }
        let facts = json!({ "label": client.label, "scope": claims.scope });
        let subject = Subject::of_client(&client, &claims.jti);
        self.audit(&mut tx, caller, Action::TokenRevoked, subject, facts.clone()).await?;
        self.mail_contacts(&mut tx, &client, MailKind::TokenRevoked, facts).await?;
        self.commit(tx).await?;
        Ok(Revocation::Now)
    }

    /// Revokes a recorded token of a client within reach, by its id. Revoking a dead one changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Lacks`], [`Error::Storage`].
    pub async fn revoke_token(&self, caller: &Caller, client_id: &str, jti: &str) -> Result<(), Error> {
        caller.must_manage()?;
        let mut tx = self.storage.begin().await?;
        let client = lock_client(&mut tx, &caller.reach, client_id).await?;
        let now = self.clock.now();
        if !ids::is_jti(jti) {
            return Err(Error::NotFound(WHAT));
        }
        let found = tx.recorded_token(jti).await?.filter(|token| token.client_id == client_id);
        let token = found.ok_or(Error::NotFound(WHAT))?;
        let live = if token.is_live(now) { tx.revoke_token(jti, now).await? } else { None };
        let Some(revoked) = live else {
            tx.rollback().await?;
            return Ok(());
        };
        self.mark_revoked(&mut tx, std::slice::from_ref(&revoked)).await?;
        let facts = json!({ "label": client.label, "scope": token.scope });
        let subject = Subject::of_client(&client, jti);
        self.audit(&mut tx, caller, Action::TokenRevoked, subject, facts.clone()).await?;
        self.mail_contacts(&mut tx, &client, MailKind::TokenRevoked, facts).await?;
        self.commit(tx).await
    }

    /// Revokes all tokens of a client within reach, by a new generation. Returns how many recorded ones had been alive.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Lacks`], [`Error::Storage`].
    pub async fn revoke_tokens(&self, caller: &Caller, client_id: &str) -> Result<usize, Error> {
        caller.must_manage()?;
        let mut tx = self.storage.begin().await?;
        let mut client = lock_client(&mut tx, &caller.reach, client_id).await?;
        let revoked = self.revoke_all_tokens(&mut tx, &mut client, self.clock.now()).await?;
        tx.update_client(&client).await?;
        let facts = json!({
            "label": client.label, "generation": client.generation, "revoked_tokens": revoked,
        });
        self.audit(&mut tx, caller, Action::TokensRevoked, Subject::client(&client), facts.clone()).await?;
        self.mail_contacts(&mut tx, &client, MailKind::TokensRevoked, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        self.commit(tx).await?;
        Ok(revoked)
    }

    /// Does what time brings: replaced tokens whose grace is over are revoked, and the slots of clients that have ended
    /// say so. Each client is a transaction of its own.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was done before it stays.
    pub async fn suit_to_the_time(&self) -> Result<(), Error> {
        let now = self.clock.now();
        for client_id in self.storage.clients_with_due_tokens(now, AT_ONCE).await? {
            self.revoke_due_tokens_of(&client_id, now).await?;
        }
        for client_id in self.storage.clients_ended_unmarked(now, AT_ONCE).await? {
            self.suspend_ended(&client_id, now).await?;
        }
        Ok(())
    }

    async fn revoke_due_tokens_of(&self, client_id: &str, now: UnixSeconds) -> Result<(), Error> {
        let mut tx = self.storage.begin().await?;
        // A deleted client's tokens were revoked with it.
        if tx.lock_client(&Reach::Platform, client_id).await?.is_some() {
            let revoked = tx.revoke_due_tokens(client_id, now).await?;
            self.mark_revoked(&mut tx, &revoked).await?;
        }
        self.commit(tx).await
    }

    async fn suspend_ended(&self, client_id: &str, now: UnixSeconds) -> Result<(), Error> {
        let mut tx = self.storage.begin().await?;
        let reach = Reach::Platform;
        if let Some(mut client) = tx.lock_client(&reach, client_id).await?
            // Its end may have been put off meanwhile.
            && !client.is_active(now)
            && self.suit_slots(&mut tx, &mut client, false, now).await?
        {
            tx.update_client(&client).await?;
        }
        self.commit(tx).await
    }

    /// Gives a slot to every client that was made before there were slots.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn ensure_slots(&self) -> Result<(), Error> {
        loop {
            let without = self.storage.clients_without_slot(AT_ONCE).await?;
            if without.is_empty() {
                return Ok(());
            }
            let mut tx = self.storage.begin().await?;
            let now = self.clock.now();
            let mut clients = Vec::with_capacity(without.len());
            for client_id in without {
                clients.extend(tx.lock_client(&Reach::Platform, &client_id).await?);
            }
            for mut client in clients.into_iter().filter(|client| client.slot.is_none()) {
                self.first_slot(&mut tx, &mut client, now).await?;
                tx.update_client(&client).await?;
                tx.changed(Change::Client(client.client_id));
            }
            self.commit(tx).await?;
        }
    }
}

const WHAT: &str = "access token";

/// Where the lists are served, below the issuer.
pub const STATUS_LISTS_PATH: &str = "/oauth2/status-lists/";

/// How many clients a turn of background work takes on.
const AT_ONCE: u32 = 1_000;
