//! Recorded access tokens for their administrators: listed, read, and recorded when an administrator generated one.
//! They are revoked in `tokens`.

use std::sync::Arc;

use serde_json::json;

use super::Tokens;
use crate::clients::{Credentials, Refusal, lock_client, mark_revoked};
use crate::kernel::{Caller, Error};
use crate::ledger::{SaveReply, Subject};
use crate::model::audit::Action;
use crate::model::client::ActiveTokens;
use crate::model::clock::to_rfc3339;
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::model::page::{Items, Page};
use crate::model::token::RecordedToken;
use crate::storage::{IssueGuard, Standing};

const WHAT: &str = "access token";

impl Tokens {
    /// A page of the recorded tokens of a client within reach, newest first; dead ones for as long as they are kept.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the client, [`Error::Lacks`], [`Error::Storage`].
    pub async fn access_tokens(
        &self,
        caller: &Caller,
        client_id: &str,
        page: &Page,
    ) -> Result<Items<RecordedToken>, Error> {
        caller.must_read()?;
        self.client_within_reach(caller, client_id).await?;
        let mut page = self.kernel.storage.recorded_tokens(&caller.reach, client_id, page).await?;
        for token in &mut page.items {
            self.bring_up_to_date(token);
        }
        Ok(page)
    }

    /// A recorded token of a client within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Lacks`], [`Error::Storage`].
    pub async fn access_token(
        &self,
        caller: &Caller,
        client_id: &str,
        jti: &str,
    ) -> Result<RecordedToken, Error> {
        caller.must_read()?;
        self.client_within_reach(caller, client_id).await?;
        if !ids::is_jti(jti) {
            return Err(Error::NotFound(WHAT));
        }
        let found = self.kernel.storage.recorded_token(&caller.reach, client_id, jti).await?;
        let mut token = found.ok_or(Error::NotFound(WHAT))?;
        self.bring_up_to_date(&mut token);
        Ok(token)
    }

    /// A client within reach, from memory.
    async fn client_within_reach(&self, caller: &Caller, client_id: &str) -> Result<Arc<Credentials>, Error> {
        let client = self.clients.credentials(client_id).await?;
        client.filter(|client| caller.reach.covers(&client.workspace_id)).ok_or(Error::NotFound("API client"))
    }

    /// Writes when tokens were asked about, as noted since the last call.
    ///
    /// # Errors
    /// [`Error::Storage`]; then it stays noted.
    pub(crate) async fn write_last_introspected(&self) -> Result<(), Error> {
        self.introspected.write(async |rows| self.kernel.storage.touch_tokens(rows).await).await
    }

    /// Shows what is noted but not yet written: when it was asked about last, and that its grace is over.
    fn bring_up_to_date(&self, token: &mut RecordedToken) {
        token.last_introspected_at = token.last_introspected_at.max(self.introspected.pending(&token.jti));
        let now = self.kernel.clock.now();
        token.revoked_at = token.revoked_at.or(token.revoke_at.filter(|at| *at <= now));
    }

    /// The client within reach that an administrator wants to generate a token for, if it may have any now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Lacks`]; [`Error::Conflict`] with what to do first.
    pub async fn client_to_issue_for(
        &self,
        caller: &Caller,
        client_id: &str,
    ) -> Result<Arc<Credentials>, Error> {
        caller.must_manage()?;
        let client = self.client_within_reach(caller, client_id).await?;
        let Err(refusal) = client.standing(self.kernel.clock.now()) else { return Ok(client) };
        Err(Error::Conflict(match refusal {
            Refusal::ClientExpired => {
                "the API client has ended: give it a later expires_at first, or null for none".to_owned()
            }
            Refusal::WorkspaceSuspended => {
                format!("the workspace {} is suspended: set its status to active first", client.workspace_id)
            }
            _ => "the API client is disabled: set its status to active first".to_owned(),
        }))
    }

    /// Records a token that an administrator generated, with its audit event, its mails and the kept reply. If it may
    /// not be born, nothing is written.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`], [`Error::Storage`]; then nothing is recorded.
    pub async fn record_generated_token<T>(
        &self,
        caller: &Caller,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        save: Option<&SaveReply<'_, T>>,
        made: &T,
    ) -> Result<Standing, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        // The client is held alone from the first statement on, since its row is locked again below.
        let guard = IssueGuard { proof: None, now: token.issued_at, replaces: true };
        let mut replaced = Vec::new();
        let standing = self.record_in(&mut tx, token, active_tokens, &guard, &mut replaced).await?;
        if standing != Standing::Good {
            tx.rollback().await?;
            return Ok(standing);
        }
        let client = lock_client(&mut tx, &caller.reach, &token.client_id).await?;
        mark_revoked(&mut tx, &replaced).await?;
        let facts = json!({
            "label": client.label,
            "scope": token.scope,
            "expires_at": token.expires_at.map(to_rfc3339),
        });
        let subject = Subject::of_client(&client, &token.jti);
        self.ledger.audit(&mut tx, caller, Action::TokenCreated, subject, facts.clone()).await?;
        self.ledger.mail_contacts(&mut tx, &client, MailKind::TokenCreated, facts).await?;
        self.ledger.save_reply(&mut tx, save, made).await?;
        self.ledger.commit(tx).await?;
        Ok(standing)
    }
}
