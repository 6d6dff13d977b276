//! Revokes tokens: one by its id, one that its client presents (RFC 7009), or all tokens of a client.

use mintmark_verifier::AccessTokenClaims;
use serde_json::json;

use super::Tokens;
use crate::clients::{EndedBefore, lock_client, mark_revoked};
use crate::kernel::{Caller, Error, Manager};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::storage::Change;

const WHAT: &str = "access token";

/// For how many seconds after its end [`Tokens::revoke_token`] still revokes a token: by the clock of another replica the token
/// may be live.
const REVOKED_AFTER_END: i64 = 60;

/// When a token was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It was revoked by this call.
    Now,
    /// It was revoked, expired or not on record before this call.
    Before,
}

impl Tokens {
    /// Revokes one token of a client within reach (RFC 7009): a recorded token by its row, a stateless token by a new row that
    /// denies it until it ends. `claims` are those of a token whose signature is valid.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the client, [`Error::Storage`]; then nothing is revoked.
    pub async fn revoke_presented_token(
        &self,
        caller: &Caller,
        claims: &AccessTokenClaims,
    ) -> Result<Revocation, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let client = lock_client(&mut tx, &caller.reach, &claims.client_id).await?;
        let now = self.kernel.clock.now();
        let is_stateless = client.slot.is_some() && self.slot_of(claims) == client.slot;
        let revoked = match (tx.revoke_token(&claims.jti, now).await?, claims.exp) {
            (Some(revoked), _) => {
                mark_revoked(&mut tx, std::slice::from_ref(&revoked)).await?;
                revoked.was_live
            }
            (None, Some(exp)) if is_stateless => {
                tx.deny_token(&claims.jti, &claims.client_id, exp).await? && exp > now
            }
            (None, _) => false,
        };
        if !revoked {
            // A token that has ended by this clock gets no event and no mail, but its revocation may have been written.
            self.ledger.commit(tx).await?;
            return Ok(Revocation::Before);
        }
        let facts = json!({ "label": client.label, "scope": claims.scope });
        let subject = Subject::of_client(&client, &claims.jti);
        self.ledger.audit(&mut tx, caller, Action::TokenRevoked, subject, facts).await?;
        let facts = json!({ "scope": claims.scope, "jti": claims.jti });
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::TokenRevoked, facts).await?;
        self.ledger.commit(tx).await?;
        Ok(Revocation::Now)
    }

    /// Revokes a recorded token of a client within reach, by its id. For a token that was revoked, or ended more than a minute
    /// ago, nothing changes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn revoke_token(&self, caller: &Manager, client_id: &str, jti: &str) -> Result<(), Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let client = lock_client(&mut tx, &caller.reach, client_id).await?;
        let now = self.kernel.clock.now();
        if !ids::is_jti(jti) {
            return Err(Error::NotFound(WHAT));
        }
        let found = tx.recorded_token(jti).await?.filter(|token| token.client_id == client_id);
        let token = found.ok_or(Error::NotFound(WHAT))?;
        let live =
            if token.is_live(now - REVOKED_AFTER_END) { tx.revoke_token(jti, now).await? } else { None };
        let Some(revoked) = live else {
            tx.rollback().await?;
            return Ok(());
        };
        mark_revoked(&mut tx, std::slice::from_ref(&revoked)).await?;
        if !revoked.was_live {
            // The token had ended by this clock, so there is no event and no mail.
            return self.ledger.commit(tx).await;
        }
        let facts = json!({ "label": client.label, "scope": &*token.scope });
        let subject = Subject::of_client(&client, jti);
        self.ledger.audit(&mut tx, caller, Action::TokenRevoked, subject, facts).await?;
        let facts = json!({ "scope": &*token.scope, "jti": jti });
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::TokenRevoked, facts).await?;
        self.ledger.commit(tx).await
    }

    /// Revokes all tokens of a client within reach: the stateless ones by a new generation, and each recorded one. Returns how
    /// many live recorded tokens were revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`]. Recorded tokens that were revoked in steps before the error stay revoked.
    pub async fn revoke_tokens(&self, caller: &Manager, client_id: &str) -> Result<usize, Error> {
        let mut ahead = EndedBefore::default();
        let (mut tx, mut client) =
            self.clients.lock_to_revoke_all(caller, client_id, &mut ahead, |_| Ok(())).await?;
        let revoked = self.clients.revoke_all_tokens(&mut tx, &mut client, self.kernel.clock.now()).await?;
        let revoked = revoked + ahead.revoked;
        tx.update_client(&client).await?;
        let facts = json!({
            "label": client.label, "generation": client.generation, "revoked_tokens": revoked,
        });
        self.ledger
            .audit(&mut tx, caller, Action::TokensRevoked, Subject::client(&client), facts.clone())
            .await?;
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::TokensRevoked, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        self.ledger.commit(tx).await?;
        Ok(revoked)
    }
}
