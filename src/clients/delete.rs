//! Deletes an API client. For the management API, the console and the command line.

use serde_json::json;

use super::Clients;
use super::ahead::EndedBefore;
use super::generations::mark_revoked;
use crate::kernel::{Error, Manager, Precondition};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::client::ApiClient;
use crate::model::mail::MailKind;
use crate::storage::Change;

impl Clients {
    /// Deletes a client within reach and its secrets, and revokes all its tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`], and [`Error::Changed`] if the version of the client is not one of `expected`.
    pub async fn delete_client(
        &self,
        caller: &Manager,
        client_id: &str,
        expected: &Precondition,
    ) -> Result<(), Error> {
        let mut ahead = EndedBefore::default();
        let check = |client: &ApiClient| expected.check(client.version);
        let (mut tx, client) = self.lock_to_revoke_all(caller, client_id, &mut ahead, check).await?;
        let now = self.kernel.clock.now();
        self.end_generation(&mut tx, &client, now).await?;
        let revoked = tx.revoke_tokens_of_client(client_id, now).await?;
        let revoked = mark_revoked(&mut tx, &revoked).await? + ahead.revoked;
        tx.delete_client(client_id).await?;
        let facts = json!({ "label": client.label, "revoked_tokens": revoked });
        self.ledger
            .audit(&mut tx, caller, Action::ClientDeleted, Subject::client(&client), facts.clone())
            .await?;
        self.ledger.mail_contacts(&mut tx, caller, &client, MailKind::ClientDeleted, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        self.ledger.commit(tx).await
    }
}
