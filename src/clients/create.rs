//! Creates an API client with its first secret. For the management API, the console, the command line and `bootstrap`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::change::ClientChange;
use super::dto::{ClientSettings, in_the_clear};
use super::locking::hold_workspace;
use super::{Clients, rules};
use crate::kernel::{Caller, Error, Manager, to_json};
use crate::ledger::{HeldSecret, SaveReply, SecretKind, Subject};
use crate::model::audit::Action;
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::model::reach::Reach;
use crate::model::secret::PlainSecret;
use crate::storage::{Change, Tx};

/// A new client with its first secret, which is shown only in this reply.
#[derive(Debug, Serialize)]
pub struct CreatedClient {
    /// The client and the record of its secret.
    #[serde(flatten)]
    pub record: ClientRecord,
    /// The secret itself.
    #[serde(rename = "client_secret", serialize_with = "in_the_clear")]
    pub secret: PlainSecret,
}

impl Clients {
    /// Creates a client in a workspace within reach, with a first secret that does not expire.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the workspace, [`Error::Invalid`] with every bad member, [`Error::NotSupportedYet`],
    /// [`Error::LacksSome`] for a permission that the caller does not hold.
    pub async fn create_client(
        &self,
        caller: &Manager,
        workspace_id: &str,
        wanted: &ClientChange,
        save: Option<SaveReply<'_, CreatedClient>>,
    ) -> Result<CreatedClient, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let workspace = hold_workspace(&mut tx, &caller.reach, workspace_id).await?;
        let mut client = self.new_client(&workspace.workspace_id)?;
        let related = self.lock_related(&mut tx, wanted, &[]).await?;
        self.apply_change(&workspace, &related, wanted, None, &mut client)?;
        rules::may_change(caller, None, &client)?;
        let created = self.insert_client(&mut tx, caller, client).await?;
        let ClientRecord { client, secrets, .. } = &created.record;
        let secret_id = secrets.first().map_or(client.client_id.as_str(), |secret| &secret.secret_id);
        let holds = HeldSecret::new(SecretKind::ClientSecret, Subject::of_client(client, secret_id));
        self.ledger.save_reply(&mut tx, save.as_ref(), &created, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(created)
    }

    /// Checks a request against every rule. Returns the client that it would create, without creating it.
    ///
    /// # Errors
    /// As [`Clients::create_client`].
    pub async fn check_new_client(
        &self,
        caller: &Manager,
        workspace_id: &str,
        wanted: &ClientChange,
    ) -> Result<ApiClient, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let workspace = hold_workspace(&mut tx, &caller.reach, workspace_id).await?;
        let mut client = self.new_client(&workspace.workspace_id)?;
        let related = self.lock_related(&mut tx, wanted, &[]).await?;
        tx.rollback().await?;
        self.apply_change(&workspace, &related, wanted, None, &mut client)?;
        rules::may_change(caller, None, &client)?;
        Ok(client)
    }

    /// A new client without grants.
    pub(crate) fn new_client(&self, workspace_id: &str) -> Result<ApiClient, Error> {
        let now = self.kernel.clock.now();
        Ok(ApiClient {
            client_id: ids::client_id(self.kernel.random.fill()?),
            workspace_id: workspace_id.to_owned(),
            label: String::new(),
            description: None,
            products: Vec::new(),
            permissions: Vec::new(),
            token_expiry: self.kernel.policy.default_expiry(),
            notification_emails: Vec::new(),
            allowed_ips: Vec::new(),
            signing_alg: None,
            expires_at: None,
            metadata: BTreeMap::new(),
            disabled_at: None,
            active_tokens: ActiveTokens::Many,
            generation: 1,
            slot: None,
            slots_suspended_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        })
    }

    /// Writes a new client with its first secret, its audit event and the mails about it.
    pub(crate) async fn insert_client(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        mut client: ApiClient,
    ) -> Result<CreatedClient, Error> {
        let now = self.kernel.clock.now();
        self.assign_slot(tx, &mut client, now).await?;
        // The client may be created disabled, or in a suspended workspace.
        let workspace = tx.share_workspace(&Reach::Platform, &client.workspace_id).await?;
        let suspended = workspace.is_some_and(|workspace| workspace.suspended_at.is_some());
        self.update_slots(tx, &mut client, suspended, now).await?;
        tx.insert_client(&client, &self.kernel.new_id()?).await?;
        let (secret, plain) = self.new_secret(&client.client_id, None)?;
        tx.insert_secret(&secret).await?;
        let facts = to_json(&ClientSettings::from(&client));
        let subject = Subject::client(&client);
        self.ledger.audit(tx, caller, Action::ClientCreated, subject, facts.clone()).await?;
        self.ledger.mail_contacts(tx, caller, &client, MailKind::ClientCreated, facts).await?;
        // If somebody guessed this id before, a cache may remember it as unknown.
        tx.changed(Change::Client(client.client_id.clone()));
        Ok(CreatedClient {
            record: ClientRecord { client, secrets: vec![secret], last_used_at: None },
            secret: plain,
        })
    }
}
