//! API clients: created with their first secret, read, changed, deleted. For the management API, the command line and
//! the console.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::change::ClientChange;
use super::context::RuleContext;
use super::dto::{ClientSettings, in_the_clear};
use super::generations::mark_revoked;
use super::locking::{lock_client, lock_workspace, lock_workspace_of};
use super::{Clients, rules};
use crate::kernel::{Caller, Error, Precondition, to_json};
use crate::ledger::{Keep, Subject, differences};
use crate::model::audit::Action;
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;
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
#[derive(Debug, Serialize)]
pub struct CreatedClient {
    /// The client and the record of its secret.
    #[serde(flatten)]
    pub record: ClientRecord,
    /// The secret itself.
    #[serde(rename = "client_secret", serialize_with = "in_the_clear")]
    pub secret: PlainSecret,
}

/// A client as it was just changed.
#[derive(Debug, Serialize)]
pub struct ChangedClient {
    /// The client and its live secrets.
    #[serde(flatten)]
    pub record: ClientRecord,
    /// If the change withdrew a product or a permission, or made new tokens replace old ones: how many recorded tokens
    /// it revoked. Stateless tokens are revoked too, and are not counted anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_tokens: Option<usize>,
}

impl Clients {
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
        let known = self.kernel.storage.all_products().await?;
        let mut tx = self.kernel.storage.begin().await?;
        let workspace = lock_workspace(&mut tx, &caller.reach, workspace_id).await?;
        let mut client = self.blank_client(&workspace.workspace_id)?;
        self.apply_change(&mut tx, &known, &workspace, wanted, None, &mut client).await?;
        rules::may_grant_permissions(caller, None, &client)?;
        let created = self.insert_client(&mut tx, caller, client).await?;
        self.ledger.keep_reply(&mut tx, keep.as_ref(), &created).await?;
        self.ledger.commit(tx).await?;
        Ok(created)
    }

    /// A client within reach, with its live secrets.
    pub async fn client(&self, caller: &Caller, client_id: &str) -> Result<ClientRecord, Error> {
        caller.must_read()?;
        if !ids::is_client_id(client_id) {
            return Err(Error::NotFound(WHAT));
        }
        let record = self.kernel.storage.client(&caller.reach, client_id, self.kernel.clock.now()).await?;
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
            || self.kernel.storage.workspace(&caller.reach, workspace_id).await?.is_none()
        {
            return Err(Error::NotFound("workspace"));
        }
        let passable = filter.label.as_deref().is_none_or(|label| !label.contains('\0'))
            && filter.product.as_deref().is_none_or(is_product_code)
            && filter.status.as_deref().is_none_or(|status| status == "active" || status == "disabled");
        if !passable {
            return Ok(Items { items: Vec::new(), next_after: None });
        }
        let now = self.kernel.clock.now();
        let mut page =
            self.kernel.storage.clients(&caller.reach, Some(workspace_id), filter, page, now).await?;
        for record in &mut page.items {
            self.add_pending_uses(&mut record.secrets);
        }
        Ok(page)
    }

    /// Changes a client within reach. What equals its present value is no change; if nothing changes, nothing is
    /// written. Taking a product or a permission away, or switching to `replace`, opens a new generation and revokes
    /// the recorded tokens that carry what was taken.
    ///
    /// # Errors
    /// As [`Clients::create_client`], and [`Error::Changed`] if `expected` does not hold.
    pub async fn change_client(
        &self,
        caller: &Caller,
        client_id: &str,
        expected: &Precondition,
        change: &ClientChange,
    ) -> Result<ChangedClient, Error> {
        caller.must_manage()?;
        let known = self.kernel.storage.all_products().await?;
        let mut tx = self.kernel.storage.begin().await?;
        let workspace = lock_workspace_of(&mut tx, &caller.reach, client_id).await?;
        let before = lock_client(&mut tx, &caller.reach, client_id).await?;
        expected.check(before.version)?;
        let mut after = before.clone();
        self.apply_change(&mut tx, &known, &workspace, change, Some(&before), &mut after).await?;
        rules::may_grant_permissions(caller, Some(&before), &after)?;
        let now = self.kernel.clock.now();
        let mut secrets = tx.secrets(client_id).await?;
        secrets.retain(|secret| secret.is_live(now));
        self.add_pending_uses(&mut secrets);
        if after == before {
            tx.rollback().await?;
            let record = ClientRecord { client: before, secrets };
            return Ok(ChangedClient { record, revoked_tokens: None });
        }
        let revoked_tokens = self.kill_what_was_taken(&mut tx, &before, &mut after, now).await?;
        self.suit_slots(&mut tx, &mut after, workspace.suspended_at.is_some(), now).await?;
        touch(&mut after, now);
        self.write_change(&mut tx, caller, &before, &after, revoked_tokens).await?;
        self.ledger.commit(tx).await?;
        Ok(ChangedClient { record: ClientRecord { client: after, secrets }, revoked_tokens })
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
        let mut tx = self.kernel.storage.begin().await?;
        let client = lock_client(&mut tx, &caller.reach, client_id).await?;
        expected.check(client.version)?;
        let now = self.kernel.clock.now();
        self.end_generation(&mut tx, &client, now).await?;
        let revoked = tx.revoke_tokens_of_client(client_id, now).await?;
        let revoked = mark_revoked(&mut tx, &revoked).await?;
        tx.delete_client(client_id).await?;
        let facts = json!({ "label": client.label, "revoked_tokens": revoked });
        self.ledger
            .audit(&mut tx, caller, Action::ClientDeleted, Subject::client(&client), facts.clone())
            .await?;
        self.ledger.mail_contacts(&mut tx, &client, MailKind::ClientDeleted, facts).await?;
        tx.changed(Change::Client(client_id.to_owned()));
        self.ledger.commit(tx).await
    }

    /// Kills the tokens that carry what a change takes away. Of which recorded ones it returns the number; `None` if
    /// nothing was taken.
    async fn kill_what_was_taken(
        &self,
        tx: &mut Tx,
        before: &ApiClient,
        after: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<Option<usize>, Error> {
        let taken = taken_away(before, after);
        // From now on one token lives at a time, so none of the many that may be about can be one of them.
        let one_from_now_on =
            before.active_tokens == ActiveTokens::Many && after.active_tokens != ActiveTokens::Many;
        if one_from_now_on {
            return Ok(Some(self.revoke_all_tokens(tx, after, now).await?));
        }
        if taken.is_empty() {
            return Ok(None);
        }
        self.new_generation(tx, after, now).await?;
        let mut revoked = Vec::new();
        for token in tx.live_tokens_of_client(&after.client_id, now).await? {
            if token.scope.split(' ').any(|scope| taken.contains(&scope)) {
                revoked.extend(tx.revoke_token(&token.jti, now).await?);
            }
        }
        Ok(Some(mark_revoked(tx, &revoked).await?))
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
        let context = RuleContext {
            policy: &self.kernel.policy,
            now: self.kernel.clock.now(),
            workspace,
            products: &products,
            keys: &keys,
        };
        let mut broken = change.unread.clone();
        change.apply(after, &context, &mut broken);
        rules::judge(change, before, after, &context, &mut broken);
        change.reserved.must_be_supported(broken)
    }

    /// A new client with nothing granted.
    pub(crate) fn blank_client(&self, workspace_id: &str) -> Result<ApiClient, Error> {
        let now = self.kernel.clock.now();
        Ok(ApiClient {
            client_id: ids::client_id(self.kernel.random.fill()?),
            workspace_id: workspace_id.to_owned(),
            label: String::new(),
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

    /// Writes a new client with its first secret, and what a creation leaves behind.
    pub(crate) async fn insert_client(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        mut client: ApiClient,
    ) -> Result<CreatedClient, Error> {
        let now = self.kernel.clock.now();
        self.first_slot(tx, &mut client, now).await?;
        // It may be made disabled, or in a workspace that is suspended.
        let workspace = tx.lock_workspace(&Reach::Platform, &client.workspace_id).await?;
        let suspended = workspace.is_some_and(|workspace| workspace.suspended_at.is_some());
        self.suit_slots(tx, &mut client, suspended, now).await?;
        tx.insert_client(&client, &self.kernel.new_id()?).await?;
        let (secret, plain) = self.new_secret(&client.client_id, None)?;
        tx.insert_secret(&secret).await?;
        self.ledger
            .audit(
                tx,
                caller,
                Action::ClientCreated,
                Subject::client(&client),
                to_json(&ClientSettings::from(&client)),
            )
            .await?;
        let told = json!({ "label": client.label, "workspace_id": client.workspace_id, "products": client.products });
        self.ledger.mail_contacts(tx, &client, MailKind::ClientCreated, told).await?;
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
        revoked_tokens: Option<usize>,
    ) -> Result<(), Error> {
        tx.update_client(after).await?;
        for product in before.products.iter().filter(|product| !after.products.contains(product)) {
            tx.ungrant_product(&after.client_id, product).await?;
        }
        for product in after.products.iter().filter(|product| !before.products.contains(product)) {
            tx.grant_product(&after.client_id, product).await?;
        }
        let mut changed = differences(&ClientSettings::from(before), &ClientSettings::from(after));
        let members: Vec<&String> = changed
            .get("changed")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|changed| changed.keys())
            .collect();
        let told = json!({ "label": after.label, "changed": members, "revoked_tokens": revoked_tokens });
        if let (Some(revoked), Some(changed)) = (revoked_tokens, changed.as_object_mut()) {
            changed.insert("revoked_tokens".to_owned(), revoked.into());
        }
        self.ledger.audit(tx, caller, Action::ClientUpdated, Subject::client(after), changed).await?;
        // Whoever stops being a contact learns of it by this last mail, so none can be dropped in silence.
        let mut contacts = after.clone();
        contacts.notification_emails.extend_from_slice(&before.notification_emails);
        contacts.notification_emails.sort_unstable();
        contacts.notification_emails.dedup();
        self.ledger.mail_contacts(tx, &contacts, MailKind::ClientUpdated, told).await?;
        tx.changed(Change::Client(after.client_id.clone()));
        Ok(())
    }
}

/// Notes on the record that it was written by a person.
pub(super) fn touch(client: &mut ApiClient, now: UnixSeconds) {
    client.version += 1;
    client.updated_at = now;
}

/// The scope tokens of products and permissions that `before` has and `after` has not.
fn taken_away<'a>(before: &'a ApiClient, after: &ApiClient) -> Vec<&'a str> {
    let products = before.products.iter().filter(|product| !after.products.contains(product));
    let permissions = before.permissions.iter().filter(|permission| !after.permissions.contains(permission));
    products.map(String::as_str).chain(permissions.map(|permission| permission.as_str())).collect()
}
