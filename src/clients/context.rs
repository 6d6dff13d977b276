//! What the rules of an API client need beside its own members: its workspace, the products, the keys, the policy.

use std::collections::BTreeMap;

use crate::kernel::Policy;
use crate::model::clock::UnixSeconds;
use crate::model::key::{Phase, SigningKey, UseFor};
use crate::model::product::Product;
use crate::model::workspace::Workspace;

/// What stands around a client, as the changing transaction holds it.
#[derive(Debug)]
pub(super) struct RuleContext<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: UnixSeconds,
    pub(super) workspace: &'a Workspace,
    /// The products the client has or is to have, by code; those that exist.
    pub(super) products: &'a BTreeMap<String, Product>,
    /// The published signing keys.
    pub(super) keys: &'a [SigningKey],
}

impl RuleContext<'_> {
    /// Whether a client of this workspace may be granted the product.
    pub(super) fn may_grant(&self, code: &str) -> Result<(), String> {
        if !self.products.contains_key(code) {
            return Err("there is no such product: GET /v1/products lists what there is".to_owned());
        }
        if !self.workspace.allows_product(code) {
            return Err("may not be granted in this workspace (its products_allowed)".to_owned());
        }
        Ok(())
    }

    /// Whether a key of the algorithm signs tokens of the class now.
    pub(super) fn has_key(&self, alg: crate::model::key::Alg, use_for: UseFor) -> bool {
        self.keys.iter().any(|key| {
            key.alg == alg
                && key.use_for == use_for
                && (key.phase == Phase::Active
                    || (key.phase == Phase::Pending && key.activates_at <= self.now))
        })
    }
}
