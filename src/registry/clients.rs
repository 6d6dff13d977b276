//! API clients: created with their first secret, read, changed, deleted. For the management API, the command line and
//! the console.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client_change::ClientChange;
use super::client_rules::{self, Around};
use super::record::{Subject, differences};
use super::{Caller, Error, Keep, Precondition, Registry};
use crate::model::audit::Action;
use crate::model::client::{ApiClient, ClientRecord};
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::model::page::{Items, Page};
use crate::model::product::{Product, is_product_code};
use crate::model::reach::Reach;
use crate::model::secret::PlainSecret;
use crate::model::workspace::Workspace;
use crate::storage::{Change, Tx};

pub use crate::storage::ClientFilter;

const WHAT: &str = "API client";

/// A client as it was just created. The only time its first secret is seen.
#[derive(Debug)]
pub struct CreatedClient {
    /// The client and the record of its secret.
    pub record: ClientRecord,
    /// The secret itself.
    pub secret: PlainSecret,
}

impl Registry {
    /// Creates a client in a workspace within reach, with a first secret that does not expire.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the workspace, [`Error::Invalid`] with every broken rule, [`Error::NotSupportedYet`],
    /// [`Error::Denied`] for a permission that the caller does not hold.
    pub async fn create_client(
        &self,
        caller: &Caller,
        workspace_id: &str,
        wanted: &ClientChange,
        keep: Option<Keep<'_, CreatedClient>>,
    ) -> Result<CreatedClient, Error> {
        caller.must_manage()?;
        let known = self.storage.all_products().await?;
        let mut tx = self.storage.begin().await?;
        let workspace = lock_workspace(&mut tx, &caller.reach, workspace_id).await?;
        let mut client = self.blank_client(&workspace.workspace_id)?;
        self.apply_change(&mut tx, &known, &workspace, wanted, None, &mut client).await?;
        client_rules::may_grant_permissions(caller, None, &client)?;
        let created = self.insert_client(&mut tx, caller, client).await?;
        self.keep_reply(&mut tx, keep.as_ref(), &created).await?;
        self.commit(tx).await?;
        Ok(created)
    }

    /// A client within reach, with its live secrets.
    pub async fn client(&self, caller: &Caller, client_id: &str) -> Result<ClientRecord, Error> {
        caller.must_read()?;
        if !ids::is_client_id(client_id) {
            return Err(Error::NotFound(WHAT));
        }
        let record = self.storage.client(&caller.reach, client_id, self.clock.now()).await?;
        let mut record = record.ok_or(Error::NotFound(WHAT))?;
        self.add_pending_uses(&mut record.secrets);
        Ok(record)
    }

    /// A page of a workspace's clients, newest first, each with its live secrets. A filter that no client could pass
    /// finds none.
    pub async fn clients(
        &self,
        caller: &Caller,
        workspace_id: &str,
        filter: &ClientFilter,
        page: &Page,
    ) -> Result<Items<ClientRecord>, Error> {
        caller.must_read()?;
        if !ids::is_workspace_id(workspace_id)
            || self.storage.workspace(&caller.reach, workspace_id).await?.is_none()
        {
            return Err(Error::NotFound("workspace"));
        }
        let passable = filter.label.as_deref().is_none_or(|label| !label.contains('\0'))
            && filter.product.as_deref().is_none_or(is_product_code)
            && filter.status.as_deref().is_none_or(|status| status == "active" || status == "disabled");
        if !passable {
            return Ok(Items { items: Vec::new(), next_after: None });
        }
        let now = self.clock.now();
        let mut page = self.storage.clients(&caller.reach, Some(workspace_id), filter, page, now).await?;
        for record in &mut page.items {
            self.add_pending_uses(&mut record.secrets);
        }
        Ok(page)
    }

    /// Changes a client within reach. What equals its present value is no change; if nothing changes, nothing is
    /// written. Taking a product or a permission away opens a new generation.
    ///
    /// # Errors
    /// As [`Registry::create_client`], and [`Error::Changed`] if `expected` does not hold.
    pub async fn change_client(
        &self,
        caller: &Caller,
        client_id: &str,
        expected: &Precondition,
        change: &ClientChange,
    ) -> Result<ClientRecord, Error> {
        caller.must_manage()?;
        let known = self.storage.all_products().await?;
        let mut tx = self.storage.begin().await?;
        let before = lock_client(&mut tx, &caller.reach, client_id).await?;
        expected.check(before.version)?;
        let workspace = lock_workspace(&mut tx, &Reach::Platform, &before.workspace_id).await?;
        let mut after = before.clone();
        self.apply_change(&mut tx, &known, &workspace, change, Some(&before), &mut after).await?;
        client_rules::may_grant_permissions(caller, Some(&before), &after)?;
        let now = self.clock.now();
        let mut secrets = tx.secrets(client_id).await?;
        secrets.retain(|secret| secret.is_live(now));
        self.add_pending_uses(&mut secrets);
        if after == before {
            tx.rollback().await?;
            return Ok(ClientRecord { client: before, secrets });
        }
        if takes_away(&before, &after) {
            after.generation += 1;
        }
        touch(&mut after, now);
        self.write_change(&mut tx, caller, &before, &after).await?;
        self.commit(tx).await?;
        Ok(ClientRecord { client: after, secrets })
    }

    /// Deletes a client within reach with its secrets. Its recorded tokens are revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], and [`Error::Changed`] if `expected` does not hold.
    pub async fn delete_client(
        &self,
        caller: &Caller,
        client_id: &str,
        expected: &Precondition,
    ) -> Result<(), Error> {
        caller.must_manage()?;
        let mut tx = self.storage.begin().await?;
        let client = lock_client(&mut tx, &caller.reach, client_id).await?;
        expected.check(client.version)?;
        let revoked = tx.revoke_tokens_of_client(client_id, self.clock.now()).await?;
        tx.delete_client(client_id).await?;
        let facts = json!({ "label": client.label, "revoked_tokens": revoked });
        self.audit(&mut tx, caller, Action::ClientDeleted, Subject::client(&client), facts.clone()).await?;
        self.mail_contacts(&mut tx, &client, MailKind::ClientDeleted, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        self.commit(tx).await
    }

    /// Locks what a change depends on, applies it to `after`, and judges the whole.
    async fn apply_change(
        &self,
        tx: &mut Tx,
        known: &[Product],
        workspace: &Workspace,
        change: &ClientChange,
        before: Option<&ApiClient>,
        after: &mut ApiClient,
    ) -> Result<(), Error> {
        let mut products = BTreeMap::new();
        if before.is_none() || !change.products.is_absent() || !change.token_expiry.is_absent() {
            let named = change.products.value().map(Vec::as_slice).unwrap_or_default();
            // In the order of their codes, so that two changes never wait for each other.
            for known in known.iter().map(|product| &product.product) {
                if (named.contains(known) || after.products.contains(known))
                    && let Some(product) = tx.lock_product(known).await?
                {
                    products.insert(known.clone(), product);
                }
            }
        }
        let keys = tx.signing_keys().await?;
        let around = Around {
            policy: &self.policy,
            now: self.clock.now(),
            workspace,
            products: &products,
            keys: &keys,
        };
        let mut broken = change.unread.clone();
        change.apply(after, &around, &mut broken);
        client_rules::judge(change, before, after, &around, &mut broken);
        Error::if_broken(broken)?;
        change.later.must_be_served()
    }

    /// A new client with nothing granted.
    pub(super) fn blank_client(&self, workspace_id: &str) -> Result<ApiClient, Error> {
        let now = self.clock.now();
        Ok(ApiClient {
            client_id: ids::client_id(self.random.fill()?),
            workspace_id: workspace_id.to_owned(),
            label: String::new(),
            products: Vec::new(),
            permissions: Vec::new(),
            token_expiry: self.policy.default_expiry(),
            notification_emails: Vec::new(),
            allowed_ips: Vec::new(),
            signing_alg: None,
            expires_at: None,
            metadata: BTreeMap::new(),
            disabled_at: None,
            generation: 1,
            created_at: now,
            updated_at: now,
            version: 1,
        })
    }

    /// Writes a new client with its first secret, and what a creation leaves behind.
    pub(super) async fn insert_client(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        client: ApiClient,
    ) -> Result<CreatedClient, Error> {
        tx.insert_client(&client, &self.new_id()?).await?;
        let (secret, plain) = self.new_secret(&client.client_id, None)?;
        tx.insert_secret(&secret).await?;
        self.audit(tx, caller, Action::ClientCreated, Subject::client(&client), facts(&client)).await?;
        let told = json!({ "label": client.label, "workspace_id": client.workspace_id, "products": client.products });
        self.mail_contacts(tx, &client, MailKind::ClientCreated, told).await?;
        // Nobody can have asked for an id that was just drawn, but whoever did must not go on being told "unknown".
        tx.changed(Change::Client(client.client_id.clone()));
        Ok(CreatedClient { record: ClientRecord { client, secrets: vec![secret] }, secret: plain })
    }

    /// Writes a changed client, and what a change leaves behind.
    async fn write_change(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        before: &ApiClient,
        after: &ApiClient,
    ) -> Result<(), Error> {
        tx.update_client(after).await?;
        for product in before.products.iter().filter(|product| !after.products.contains(product)) {
            tx.ungrant_product(&after.client_id, product).await?;
        }
        for product in after.products.iter().filter(|product| !before.products.contains(product)) {
            tx.grant_product(&after.client_id, product).await?;
        }
        let changed = differences(facts(before), facts(after));
        let members: Vec<&String> =
            changed.as_object().into_iter().flat_map(|changed| changed.keys()).collect();
        let told = json!({ "label": after.label, "changed": members });
        self.audit(tx, caller, Action::ClientUpdated, Subject::client(after), changed).await?;
        // Whoever stops being a contact learns of it by this last mail, so none can be dropped in silence.
        let mut contacts = after.clone();
        contacts.notification_emails.extend_from_slice(&before.notification_emails);
        contacts.notification_emails.sort_unstable();
        contacts.notification_emails.dedup();
        self.mail_contacts(tx, &contacts, MailKind::ClientUpdated, told).await?;
        tx.changed(Change::Client(after.client_id.clone()));
        Ok(())
    }
}

/// A client within reach, locked, or "not found".
pub(super) async fn lock_client(tx: &mut Tx, reach: &Reach, client_id: &str) -> Result<ApiClient, Error> {
    if !ids::is_client_id(client_id) {
        return Err(Error::NotFound(WHAT));
    }
    tx.lock_client(reach, client_id).await?.ok_or(Error::NotFound(WHAT))
}

async fn lock_workspace(tx: &mut Tx, reach: &Reach, workspace_id: &str) -> Result<Workspace, Error> {
    if !ids::is_workspace_id(workspace_id) {
        return Err(Error::NotFound("workspace"));
    }
    tx.lock_workspace(reach, workspace_id).await?.ok_or(Error::NotFound("workspace"))
}

/// Notes on the record that it was written by a person.
pub(super) fn touch(client: &mut ApiClient, now: UnixSeconds) {
    client.version += 1;
    client.updated_at = now;
}

/// Whether a product or a permission that `before` has is no longer there.
fn takes_away(before: &ApiClient, after: &ApiClient) -> bool {
    before.products.iter().any(|product| !after.products.contains(product))
        || before.permissions.iter().any(|permission| !after.permissions.contains(permission))
}

/// What a person set of a client, for the audit trail.
fn facts(client: &ApiClient) -> Value {
    json!({
        "label": client.label,
        "products": client.products,
        "permissions": client.permissions,
        "token_expiry": client.token_expiry,
        "notification_emails": client.notification_emails,
        "allowed_ips": client.allowed_ips,
        "signing_alg": client.signing_alg,
        "expires_at": client.expires_at.map(to_rfc3339),
        "metadata": client.metadata,
        "status": client.status(),
    })
}
