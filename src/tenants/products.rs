//! Products: what API clients can be granted. Managers of the platform write them; a workspace reads those it may grant.
//!
//! A lower cap shortens the tokens issued from then on, whatever the clients' `token_expiry` says. So a change does not
//! look at the clients that have the product; only deleting does.

use serde_json::Value;

use super::Tenants;
use super::dto::ProductSettings;
use crate::kernel::{Caller, Error, Fields, Precondition, to_json};
use crate::ledger::{SaveReply, Subject, differences};
use crate::model::audit::Action;
use crate::model::expiry::LIFETIME_RANGE;
use crate::model::invalid::Broken;
use crate::model::member::Member;
use crate::model::page::{Items, Page};
use crate::model::product::{Product, is_audience, is_product_code};
use crate::model::reach::Reach;
use crate::model::scope::PERMISSION_PREFIX;
use crate::model::{description, text};
use crate::storage::Change;

pub(super) const NAME_LENGTH: std::ops::RangeInclusive<usize> = 1..=200;
const WHAT: &str = "product";

/// What a request says of a product. `null` takes the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductChange {
    /// Display name; a product must have one.
    pub name: Member<String>,
    /// Free text about it; default none.
    pub description: Member<String>,
    /// Audience URI of its tokens; default `tokens.default_audience`.
    pub audience: Member<String>,
    /// A cap on token lifetime, in seconds; default none.
    pub max_token_lifetime_seconds: Member<i64>,
    /// Whether never-expiring tokens may carry it; default yes.
    pub never_expires_allowed: Member<bool>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub unread: Broken,
}

impl ProductChange {
    /// Reads the body of a request to create one: its code, and the other members.
    pub(crate) fn read_new(body: &Value) -> (Member<String>, Self) {
        let ((id, change), unread) =
            Fields::read(body, |fields| (fields.string("product"), Self::members(fields)));
        (id, Self { unread, ..change })
    }

    /// Reads the body of a request to change one.
    pub(crate) fn read(body: &Value) -> Self {
        let (change, unread) = Fields::read(body, Self::members);
        Self { unread, ..change }
    }

    fn members(fields: &mut Fields<'_>) -> Self {
        Self {
            name: fields.string("name"),
            description: fields.string("description"),
            audience: fields.string("audience"),
            max_token_lifetime_seconds: fields.integer("max_token_lifetime_seconds"),
            never_expires_allowed: fields.boolean("never_expires_allowed"),
            unread: Broken::default(),
        }
    }

    /// Applies the change. Members that break a rule are noted in `broken` and stay as they were.
    fn apply(&self, product: &mut Product, issuer: &str, broken: &mut Broken) {
        match &self.name {
            Member::Absent => {}
            Member::Null => broken.at("/name", "is required"),
            Member::Value(name) => match text::check(name, NAME_LENGTH) {
                Ok(()) => product.name.clone_from(name),
                Err(why) => broken.at("/name", why),
            },
        }
        description::apply(&self.description, &mut product.description, broken);
        match &self.audience {
            Member::Absent => {}
            Member::Null => product.audience = None,
            // The audience that is set already stays, even if the issuer has been renamed to it since.
            Member::Value(audience) if product.audience.as_ref() == Some(audience) => {}
            Member::Value(audience) if !is_audience(audience) => broken.at(
                "/audience",
                "must be an absolute URI without a fragment, of at most 2000 characters, like https://api.example.com",
            ),
            Member::Value(audience) if audience == issuer => {
                broken.at("/audience", "must not be the issuer: it is the audience of tokens for the management API");
            }
            Member::Value(audience) => product.audience = Some(audience.clone()),
        }
        match self.max_token_lifetime_seconds {
            Member::Absent => {}
            Member::Null => product.max_token_lifetime_seconds = None,
            Member::Value(seconds) if !LIFETIME_RANGE.contains(&seconds) => broken.at(
                "/max_token_lifetime_seconds",
                format!("must be null or from {} to {}", LIFETIME_RANGE.start(), LIFETIME_RANGE.end()),
            ),
            Member::Value(seconds) => product.max_token_lifetime_seconds = Some(seconds),
        }
        match self.never_expires_allowed {
            Member::Absent => {}
            Member::Null => product.never_expires_allowed = true,
            Member::Value(allowed) => product.never_expires_allowed = allowed,
        }
    }
}

impl Tenants {
    /// A page of the products the caller may grant, by code.
    ///
    /// # Errors
    /// [`Error::Lacks`], [`Error::Storage`].
    pub async fn products(&self, caller: &Caller, page: &Page) -> Result<Items<Product>, Error> {
        caller.must_read()?;
        let Some(allowed) = self.products_allowed_to(caller).await? else {
            return Ok(self.kernel.storage.products(page).await?);
        };
        let after = page.after.as_deref();
        let products = self.kernel.storage.all_products().await?.into_iter();
        let products = products
            .filter(|p| allowed.contains(&p.product) && after.is_none_or(|after| *p.product > *after));
        Ok(Items::cut(products.collect(), page.limit, |product: &Product| product.product.clone()))
    }

    /// A product the caller may grant.
    ///
    /// # Errors
    /// [`Error::Lacks`], [`Error::NotFound`], [`Error::Storage`].
    pub async fn product(&self, caller: &Caller, code: &str) -> Result<Product, Error> {
        caller.must_read()?;
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
    /// [`Error::Lacks`], [`Error::Denied`]; [`Error::Invalid`] with every bad field; [`Error::Conflict`] if the code
    /// exists; [`Error::AlreadyAnswered`], [`Error::Storage`].
    pub async fn create_product(
        &self,
        caller: &Caller,
        code: &Member<String>,
        change: &ProductChange,
        save: Option<SaveReply<'_, Product>>,
    ) -> Result<Product, Error> {
        caller.must_manage_platform("products")?;
        let mut broken = change.unread.clone();
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
                broken.at("/product", format!("must not begin with {PERMISSION_PREFIX}, which is reserved"));
            }
            Member::Value(_) => broken.at(
                "/product",
                "must have 1 to 64 characters of a-z, 0-9 and . _ : - and begin with a letter or digit",
            ),
            Member::Absent | Member::Null => broken.at("/product", "is required"),
        }
        if change.name.is_absent() {
            broken.at("/name", "is required");
        }
        change.apply(&mut product, &self.kernel.policy.audiences.issuer, &mut broken);
        Error::if_broken(broken)?;
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
        self.ledger.save_reply(&mut tx, save.as_ref(), &product).await?;
        self.ledger.commit(tx).await?;
        Ok(product)
    }

    /// Changes a product. A change that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`Error::Lacks`], [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`]; [`Error::Invalid`] with every bad
    /// field; [`Error::Storage`].
    pub async fn change_product(
        &self,
        caller: &Caller,
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
        let mut broken = change.unread.clone();
        change.apply(&mut after, &self.kernel.policy.audiences.issuer, &mut broken);
        Error::if_broken(broken)?;
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

    /// Deletes a product that no API client is granted.
    ///
    /// # Errors
    /// [`Error::Lacks`], [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`], [`Error::Conflict`],
    /// [`Error::Storage`].
    pub async fn delete_product(
        &self,
        caller: &Caller,
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
    async fn products_allowed_to(&self, caller: &Caller) -> Result<Option<Vec<String>>, Error> {
        match &caller.reach {
            Reach::Platform => Ok(None),
            Reach::Workspace(own) => {
                let workspace = self.kernel.storage.workspace(&caller.reach, own).await?;
                Ok(workspace.ok_or(Error::NotFound("workspace"))?.products_allowed)
            }
        }
    }
}
