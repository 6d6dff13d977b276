//! Records a token that an administrator generates for an API client. For `issuance`, which signs it.

use std::sync::Arc;

use serde_json::json;

use super::Tokens;
use crate::clients::{Credentials, lock_client, mark_revoked};
use crate::kernel::{Error, Manager};
use crate::ledger::{HeldSecret, SaveReply, SecretKind, Subject};
use crate::model::audit::Action;
use crate::model::client::ActiveTokens;
use crate::model::clock::to_rfc3339;
use crate::model::mail::MailKind;
use crate::model::refusal::Refusal;
use crate::model::token::RecordedToken;
use crate::model::usage::HOUR;
use crate::storage::{IssueCheck, IssueGuard};

impl Tokens {
    /// The client within reach for which an administrator generates a token, if the client may have tokens now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::LacksSome`] if the client has more permissions than the caller; [`Error::Conflict`]
    /// with what to do first; [`Error::Storage`].
    pub async fn client_to_issue_for(
        &self,
        caller: &Manager,
        client_id: &str,
    ) -> Result<Arc<Credentials>, Error> {
        let client = self.client_within_reach(caller, client_id).await?;
        caller.must_not_step_up(&client.permissions)?;
        let Err(refusal) = client.may_act(self.kernel.clock.now()) else { return Ok(client) };
        Err(Error::Conflict(match refusal {
            Refusal::ClientExpired => {
                "the API client has expired: set its expires_at to a later time, or to null, first".to_owned()
            }
            Refusal::WorkspaceSuspended => {
                format!("the workspace {} is suspended: set its status to active first", client.workspace_id)
            }
            _ => "the API client is disabled: set its status to active first".to_owned(),
        }))
    }

    /// Records a token that an administrator generated, with its audit event, its mails and the saved reply. Unless the
    /// result is [`IssueCheck::Allowed`], nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the client; [`Error::LacksSome`] if the client has more permissions than the caller;
    /// [`Error::AlreadyAnswered`]; [`Error::Storage`]. Then nothing is recorded.
    pub async fn record_generated_token<T>(
        &self,
        caller: &Manager,
        token: &RecordedToken,
        active_tokens: ActiveTokens,
        save: Option<&SaveReply<'_, T>>,
        made: &T,
    ) -> Result<IssueCheck, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        // With `replaces`, the first statement already locks the client's row exclusively, as `lock_client` does below.
        let guard = IssueGuard { proof: None, now: token.issued_at, replaces: true };
        let mut replaced = Vec::new();
        let check = self.record_in(&mut tx, token, active_tokens, &guard, &mut replaced).await?;
        if check != IssueCheck::Allowed {
            tx.rollback().await?;
            return Ok(check);
        }
        let client = lock_client(&mut tx, &caller.reach, &token.client_id).await?;
        // Checked again with the locked row: the client may have been granted more permissions in the meantime.
        caller.must_not_step_up(&client.permissions)?;
        mark_revoked(&mut tx, &replaced).await?;
        tx.touch_client(&token.client_id, token.issued_at).await?;
        let hour = token.issued_at - token.issued_at.rem_euclid(HOUR);
        tx.count_issued(&token.client_id, hour).await?;
        let facts = json!({
            "label": client.label,
            "scope": &*token.scope,
            "expires_at": token.expires_at.map(to_rfc3339),
        });
        let subject = Subject::of_client(&client, &token.jti);
        self.ledger.audit(&mut tx, caller, Action::TokenCreated, subject, facts).await?;
        let facts = json!({
            "scope": &*token.scope,
            "expires_at": token.expires_at.map(to_rfc3339),
            "jti": token.jti,
        });
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::TokenCreated, facts).await?;
        let holds = HeldSecret::new(SecretKind::AccessToken, subject);
        self.ledger.save_reply(&mut tx, save, made, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(check)
    }
}
