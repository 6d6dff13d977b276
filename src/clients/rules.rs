//! The rules of an API client that need more than its own words: the products there are and their caps, what its
//! workspace allows, the keys that could sign for it, and what the caller holds.

use super::change::ClientChange;
use super::context::RuleContext;
use crate::kernel::{Caller, Error};
use crate::model::client::ApiClient;
use crate::model::expiry::TokenExpiry;
use crate::model::invalid::Broken;
use crate::model::key::UseFor;
use crate::model::product::Product;

/// Judges `after`, which `change` made of `before`, by the rules that join several members. `before` is `None` for a
/// new client.
pub(super) fn judge(
    change: &ClientChange,
    before: Option<&ApiClient>,
    after: &ApiClient,
    context: &RuleContext<'_>,
    broken: &mut Broken,
) {
    if before.is_none() && change.label.is_absent() {
        broken.at("/label", "is required");
    }
    let grants_read = !broken.has("/products") && !broken.has("/permissions");
    let grants_changed = before
        .is_none_or(|before| before.products != after.products || before.permissions != after.permissions);
    if grants_read && grants_changed && after.products.is_empty() && after.permissions.is_empty() {
        broken.at("/products", "and permissions are both empty: grant at least one product or permission");
    }
    judge_expiry(change, before, after, context, broken);
    judge_signing_alg(before, after, context, broken);
}

/// The expiry keeps the caps of the workspace and of every product, where either of them is new.
fn judge_expiry(
    change: &ClientChange,
    before: Option<&ApiClient>,
    after: &ApiClient,
    context: &RuleContext<'_>,
    broken: &mut Broken,
) {
    let expiry_changed = before.is_none_or(|before| before.token_expiry != after.token_expiry);
    if expiry_changed && after.token_expiry.is_never() && !context.workspace.never_expires_allowed {
        broken.at("/token_expiry/mode", "the workspace does not allow tokens that never expire");
    }
    for code in &after.products {
        let product_is_new = before.is_none_or(|before| !before.products.contains(code));
        let Some(product) = context.products.get(code).filter(|_| expiry_changed || product_is_new) else {
            continue;
        };
        let Some((member, why)) = beyond_cap(after.token_expiry, product) else { continue };
        match change.token_expiry.value() {
            Some(_) => broken.at(format!("/token_expiry/{member}"), why),
            None => broken.at(pointer_to(change, code), format!("{why}; set token_expiry to suit")),
        }
    }
}

/// Which member of the expiry goes beyond the product's caps, and how.
fn beyond_cap(expiry: TokenExpiry, product: &Product) -> Option<(&'static str, String)> {
    let code = &product.product;
    match (expiry, product.max_token_lifetime_seconds) {
        (TokenExpiry::Never {}, _) if !product.never_expires_allowed => {
            Some(("mode", format!("the product {code} does not allow tokens that never expire")))
        }
        (TokenExpiry::Never {}, Some(cap)) => {
            Some(("mode", format!("tokens for the product {code} live at most {cap} seconds")))
        }
        (TokenExpiry::After { seconds }, Some(cap)) if seconds > cap => Some((
            "seconds",
            format!("tokens for the product {code} live at most {cap} seconds, not {seconds}"),
        )),
        _ => None,
    }
}

/// Where the change names the product.
fn pointer_to(change: &ClientChange, code: &str) -> String {
    let index = change.products.value().and_then(|codes| codes.iter().position(|named| named == code));
    index.map_or_else(|| "/products".to_owned(), |index| format!("/products/{index}"))
}

/// A client with an algorithm of its own needs keys that sign its tokens by it.
fn judge_signing_alg(
    before: Option<&ApiClient>,
    after: &ApiClient,
    context: &RuleContext<'_>,
    broken: &mut Broken,
) {
    let Some(alg) = after.signing_alg else { return };
    let alg_changed = before.is_none_or(|before| before.signing_alg != after.signing_alg);
    let becomes_never =
        after.token_expiry.is_never() && before.is_none_or(|before| !before.token_expiry.is_never());
    for (use_for, needed) in [
        (UseFor::Expiring, alg_changed),
        (UseFor::NeverExpiring, after.token_expiry.is_never() && (alg_changed || becomes_never)),
    ] {
        if needed && !context.has_key(alg, use_for) {
            let use_for = use_for.as_str();
            broken.at(
                "/signing_alg",
                format!(
                    "no active {alg} key signs tokens of the class {use_for}: create one first with POST /v1/signing-keys \
                     {{\"alg\": \"{alg}\", \"use_for\": \"{use_for}\"}}"
                ),
            );
        }
    }
}

/// A caller grants no permission that it does not hold. What the client holds already is not granted anew.
pub(super) fn may_grant_permissions(
    caller: &Caller,
    before: Option<&ApiClient>,
    after: &ApiClient,
) -> Result<(), Error> {
    let held_before = |permission| before.is_some_and(|before| before.permissions.contains(permission));
    match after.permissions.iter().find(|permission| !held_before(permission) && !caller.holds(**permission))
    {
        None => Ok(()),
        Some(permission) => Err(Error::Denied(format!(
            "you do not hold the permission {permission} and so cannot grant it: request a token with \
             scope={permission} too, from an API client that holds it"
        ))),
    }
}
