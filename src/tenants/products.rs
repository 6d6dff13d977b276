//! Products: what API clients can be granted. Managers of the platform write them; a workspace reads those it may grant.
//!
//! A change does not check the clients that are granted the product; only deleting does. Whatever `token_expiry` they have, a
//! lower `max_token_lifetime_seconds` shortens the tokens issued from then on. Without `never_expires_allowed`, requests for
//! never-expiring tokens are refused from then on.

use super::Tenants;
use super::dto::ProductSettings;
use super::product_change::ProductChange;
use crate::kernel::{Error, Manager, Precondition, Reader, to_json};
use crate::ledger::{SaveReply, Subject, differences};
use crate::model::audit::Action;
use crate::model::member::Member;
use crate::model::page::{Items, Page};
use crate::model::product::{Product, is_product_code};
use crate::model::reach::Reach;
use crate::model::scope::PERMISSION_PREFIX;
use crate::storage::Change;

const WHAT: &str = "product";

impl Tenants {
    /// A page of the products the caller may grant, by code.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the caller's workspace was deleted; [`Error::Storage`].
    pub async fn products(&self, caller: &Reader, page: &Page) -> Result<Items<Product>, Error> {
        let Some(allowed) = self.products_allowed_to(caller).await? else {
            return Ok(self.kernel.storage.products(page).await?);
        };
        let mut products = self.kernel.storage.all_products().await?;
        products.retain(|product| allowed.contains(&product.product));
        Ok(Items::of_whole_list(products, page, |product| product.product.clone()))
    }

    /// A product the caller may grant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn product(&self, caller: &Reader, code: &str) -> Result<Product, Error> {
        if !is_product_code(code) {
            return Err(Error::NotFound(WHAT));
        }
        let allowed = self.products_allowed_to(caller).await?;
        if allowed.is_some_and(|allowed| !allowed.iter().any(|known| known == code)) {
            return Err(Error::NotFound(WHAT));
        }
        self.kernel.storage.product(code).await?.ok_or(Error::NotFound(WHAT))
    }

    /// Creates a product.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Invalid`] with every bad field; [`Error::Conflict`] if the code
    /// exists; [`Error::AlreadyAnswered`], [`Error::Storage`].
    pub async fn create_product(
        &self,
        caller: &Manager,
        code: &Member<String>,
        change: &ProductChange,
        save: Option<SaveReply<'_, Product>>,
    ) -> Result<Product, Error> {
        caller.must_manage_platform("products")?;
        let mut errors = change.parse_errors.clone();
        let now = self.kernel.clock.now();
        let mut product = Product {
            product: code.value().cloned().unwrap_or_default(),
            name: String::new(),
            description: None,
            audience: None,
            max_token_lifetime_seconds: None,
            never_expires_allowed: true,
            created_at: now,
            updated_at: now,
            // A code may be used again after its product was deleted. An entity tag of the old product must not match
            // the new one, so versions start from the clock instead of 1.
            version: self.kernel.clock.now_millis(),
        };
        match code {
            Member::Value(code) if is_product_code(code) => {}
            Member::Value(code) if code.starts_with(PERMISSION_PREFIX) => {
                errors.add("/product", format!("must not begin with {PERMISSION_PREFIX}, which is reserved"));
            }
            Member::Value(_) => errors.add(
                "/product",
                "must have 1 to 64 characters of a-z, 0-9 and . _ : - and begin with a letter or digit",
            ),
            Member::Absent | Member::Null => errors.add("/product", "is required"),
        }
        if change.name.is_absent() {
            errors.add("/name", "is required");
        }
        change.apply(&mut product, &self.kernel.policy.audiences.issuer, &mut errors);
        Error::if_any(errors)?;
        let mut tx = self.kernel.storage.begin().await?;
        if !tx.insert_product(&product).await? {
            return Err(Error::Conflict(format!(
                "the product {} exists already: change it, or use another code",
                product.product
            )));
        }
        let detail = to_json(&ProductSettings::from(&product));
        self.ledger
            .audit(&mut tx, caller, Action::ProductCreated, Subject::platform(&product.product), detail)
            .await?;
        self.ledger.save_reply(&mut tx, save.as_ref(), &product, None).await?;
        self.ledger.commit(tx).await?;
        Ok(product)
    }

    /// Changes a product. If nothing changes, nothing is written.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`]; [`Error::Invalid`] with every bad
    /// field; [`Error::Storage`].
    pub async fn change_product(
        &self,
        caller: &Manager,
        code: &str,
        expected: &Precondition,
        change: &ProductChange,
    ) -> Result<Product, Error> {
        caller.must_manage_platform("products")?;
        if !is_product_code(code) {
            return Err(Error::NotFound(WHAT));
        }
        let mut tx = self.kernel.storage.begin().await?;
        let before = tx.lock_product(code).await?.ok_or(Error::NotFound(WHAT))?;
        expected.check(before.version)?;
        let mut after = before.clone();
        let mut errors = change.parse_errors.clone();
        change.apply(&mut after, &self.kernel.policy.audiences.issuer, &mut errors);
        Error::if_any(errors)?;
        if after == before {
            tx.rollback().await?;
            return Ok(before);
        }
        after.updated_at = self.kernel.clock.now();
        after.version += 1;
        tx.update_product(&after).await?;
        let detail = differences(&ProductSettings::from(&before), &ProductSettings::from(&after));
        self.ledger.audit(&mut tx, caller, Action::ProductUpdated, Subject::platform(code), detail).await?;
        tx.changed(Change::Product(code.to_owned()));
        self.ledger.commit(tx).await?;
        Ok(after)
    }

    /// Deletes a product that is not granted to any API client.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`], [`Error::Conflict`],
    /// [`Error::Storage`].
    pub async fn delete_product(
        &self,
        caller: &Manager,
        code: &str,
        expected: &Precondition,
    ) -> Result<(), Error> {
        caller.must_manage_platform("products")?;
        if !is_product_code(code) {
            return Err(Error::NotFound(WHAT));
        }
        let mut tx = self.kernel.storage.begin().await?;
        let product = tx.lock_product(code).await?.ok_or(Error::NotFound(WHAT))?;
        expected.check(product.version)?;
        match tx.count_product_grants(code).await? {
            0 => {}
            1 => {
                return Err(Error::Conflict(
                    "1 API client is granted the product: remove it from the `products` of that client first"
                        .to_owned(),
                ));
            }
            n => {
                return Err(Error::Conflict(format!(
                    "{n} API clients are granted the product: remove it from their `products` first"
                )));
            }
        }
        tx.delete_product(code).await?;
        self.ledger
            .audit(
                &mut tx,
                caller,
                Action::ProductDeleted,
                Subject::platform(code),
                to_json(&ProductSettings::from(&product)),
            )
            .await?;
        self.ledger.commit(tx).await
    }

    /// The codes of the products the caller's workspace may be granted; `None` for all.
    async fn products_allowed_to(&self, caller: &Reader) -> Result<Option<Vec<String>>, Error> {
        match &caller.reach {
            Reach::Platform => Ok(None),
            Reach::Workspace(own) => {
                let workspace = self.kernel.storage.workspace(&caller.reach, own).await?;
                Ok(workspace.ok_or(Error::NotFound("workspace"))?.products_allowed)
            }
        }
    }
}
