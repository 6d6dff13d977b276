//! What the rules of an API client depend on, in addition to its own members: workspace, products, keys and policy.

use std::collections::BTreeMap;

use crate::kernel::Policy;
use crate::model::clock::UnixSeconds;
use crate::model::key::{Phase, SigningKey, UseFor};
use crate::model::product::Product;
use crate::model::workspace::Workspace;

/// The products and keys that the rules of a client depend on, as read in the transaction of the change.
#[derive(Debug)]
pub(super) struct RelatedRecords {
    /// The existing products that the client has or that the change names, by code; empty if the change names neither
    /// `products` nor `token_expiry`.
    pub(super) products: BTreeMap<String, Product>,
    /// The published signing keys.
    pub(super) keys: Vec<SigningKey>,
}

/// Everything that the rules of a client depend on, as read in the transaction of the change.
#[derive(Debug)]
pub(super) struct RuleContext<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: UnixSeconds,
    pub(super) workspace: &'a Workspace,
    /// The existing products that the client has or that the change names, by code; empty if the change names neither
    /// `products` nor `token_expiry`.
    pub(super) products: &'a BTreeMap<String, Product>,
    /// The published signing keys.
    pub(super) keys: &'a [SigningKey],
}

impl RuleContext<'_> {
    /// Checks that a client of this workspace may be granted the product.
    pub(super) fn may_grant(&self, code: &str) -> Result<(), String> {
        if self.products.contains_key(code) && self.workspace.allows_product(code) {
            return Ok(());
        }
        // The same text for both cases, since a workspace must not learn which products other workspaces have.
        Err("is not a product that this workspace may grant: create the product first, or add it to the products_allowed \
             of the workspace (GET /v1/products lists the products that you can access)"
            .to_owned())
    }

    /// Whether a key of this algorithm signs tokens of this class now.
    pub(super) fn has_key(&self, alg: crate::model::key::Alg, use_for: UseFor) -> bool {
        self.keys.iter().any(|key| {
            key.alg == alg
                && key.use_for == use_for
                && (key.phase == Phase::Active
                    || (key.phase == Phase::Pending && key.activates_at <= self.now))
        })
    }
}
