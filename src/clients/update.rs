//! Changes an API client, and revokes the tokens that carry what the change withdraws. For the management API and the
//! command line.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::change::ClientChange;
use super::context::RuleContext;
use super::dto::ClientSettings;
use super::generations::mark_revoked;
use super::locking::{lock_client, lock_workspace_of};
use super::{Clients, rules};
use crate::kernel::{Caller, Error, Manager, Precondition};
use crate::ledger::{Subject, differences};
use crate::model::audit::Action;
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;
use crate::model::mail::MailKind;
use crate::model::product::Product;
use crate::model::workspace::Workspace;
use crate::storage::{Change, Tx};

/// A changed client.
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
    /// Changes a client within reach. A member that has the value already is no change; if nothing changes, nothing is
    /// written. Withdrawing a product or a permission, or switching to `replace`, opens a new generation and revokes
    /// the recorded tokens that carry what was withdrawn.
    ///
    /// # Errors
    /// As [`Clients::create_client`], and [`Error::Changed`] if `expected` does not hold.
    pub async fn change_client(
        &self,
        caller: &Manager,
        client_id: &str,
        expected: &Precondition,
        change: &ClientChange,
    ) -> Result<ChangedClient, Error> {
        let products = self.products_for(change).await?;
        let mut tx = self.kernel.storage.begin().await?;
        let workspace = lock_workspace_of(&mut tx, &caller.reach, client_id).await?;
        let before = lock_client(&mut tx, &caller.reach, client_id).await?;
        expected.check(before.version)?;
        let mut after = before.clone();
        self.apply_change(&mut tx, &products, &workspace, change, Some(&before), &mut after).await?;
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
        let revoked_tokens = self.revoke_withdrawn(&mut tx, &before, &mut after, now).await?;
        self.update_slots(&mut tx, &mut after, workspace.suspended_at.is_some(), now).await?;
        mark_changed(&mut after, now);
        self.write_change(&mut tx, caller, &before, &after, revoked_tokens).await?;
        self.ledger.commit(tx).await?;
        Ok(ChangedClient { record: ClientRecord { client: after, secrets }, revoked_tokens })
    }

    /// Revokes the tokens that carry what a change withdraws. Returns how many recorded ones it revoked; `None` if the
    /// change withdraws nothing.
    async fn revoke_withdrawn(
        &self,
        tx: &mut Tx,
        before: &ApiClient,
        after: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<Option<usize>, Error> {
        let withdrawn = withdrawn(before, after);
        // From now on one token lives at a time, so all tokens issued before are revoked.
        if before.active_tokens == ActiveTokens::Many && after.active_tokens != ActiveTokens::Many {
            return Ok(Some(self.revoke_all_tokens(tx, after, now).await?));
        }
        if withdrawn.is_empty() {
            return Ok(None);
        }
        self.new_generation(tx, after, now).await?;
        let revoked = tx.revoke_tokens_with_scopes(&after.client_id, &withdrawn, now).await?;
        Ok(Some(mark_revoked(tx, &revoked).await?))
    }

    /// The products that exist, if the change depends on them; read before the transaction, so that it holds no lock
    /// meanwhile.
    pub(super) async fn products_for(&self, change: &ClientChange) -> Result<Vec<Product>, Error> {
        if change.products.is_absent() && change.token_expiry.is_absent() {
            return Ok(Vec::new());
        }
        Ok(self.kernel.storage.all_products().await?)
    }

    /// Locks the products that a change depends on, applies the change to `after`, and checks every rule. `existing`
    /// are the products from [`Clients::products_for`].
    pub(super) async fn apply_change(
        &self,
        tx: &mut Tx,
        existing: &[Product],
        workspace: &Workspace,
        change: &ClientChange,
        before: Option<&ApiClient>,
        after: &mut ApiClient,
    ) -> Result<(), Error> {
        let named = change.products.value().map(Vec::as_slice).unwrap_or_default();
        let mut products = BTreeMap::new();
        // In the order of their codes, so that two changes never wait for each other.
        for code in existing.iter().map(|product| &product.product) {
            if (named.contains(code) || after.products.contains(code))
                && let Some(product) = tx.lock_product(code).await?
            {
                products.insert(code.clone(), product);
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
        let mut errors = change.parse_errors.clone();
        change.apply(after, &context, &mut errors);
        rules::check(change, before, after, &context, &mut errors);
        change.reserved.must_be_supported(errors)
    }

    /// Writes a changed client, its audit event and the mails about it.
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
        let facts = json!({ "label": after.label, "changed": members, "revoked_tokens": revoked_tokens });
        if let (Some(revoked), Some(changed)) = (revoked_tokens, changed.as_object_mut()) {
            changed.insert("revoked_tokens".to_owned(), revoked.into());
        }
        self.ledger.audit(tx, caller, Action::ClientUpdated, Subject::client(after), changed).await?;
        // A contact that the change removes gets this last mail too, so that nobody is removed without notice.
        let mut contacts = after.clone();
        contacts.notification_emails.extend_from_slice(&before.notification_emails);
        contacts.notification_emails.sort_unstable();
        contacts.notification_emails.dedup();
        self.ledger.mail_contacts(tx, &contacts, MailKind::ClientUpdated, facts).await?;
        tx.changed(Change::Client(after.client_id.clone()));
        Ok(())
    }
}

/// Raises the version of a client that a management request changes.
pub(super) fn mark_changed(client: &mut ApiClient, now: UnixSeconds) {
    client.version += 1;
    client.updated_at = now;
}

/// The scope tokens of products and permissions that `before` has and `after` has not.
fn withdrawn<'a>(before: &'a ApiClient, after: &ApiClient) -> Vec<&'a str> {
    let products = before.products.iter().filter(|product| !after.products.contains(product));
    let permissions = before.permissions.iter().filter(|permission| !after.permissions.contains(permission));
    products.map(String::as_str).chain(permissions.map(|permission| permission.as_str())).collect()
}
