//! The rules of an API client that depend on other records: the products and their caps, what its workspace allows, the
//! keys that sign its tokens, and the permissions of the caller.

use super::change::ClientChange;
use super::context::RuleContext;
use crate::kernel::{Caller, Error};
use crate::model::client::ApiClient;
use crate::model::clock::UnixSeconds;
use crate::model::expiry::TokenExpiry;
use crate::model::field_errors::FieldErrors;
use crate::model::key::UseFor;
use crate::model::product::Product;
use crate::model::scope::Permission;

/// Checks `after`, which is `before` with `change` applied, against the rules that concern several members. `before` is
/// `None` for a new client.
pub(super) fn check(
    change: &ClientChange,
    before: Option<&ApiClient>,
    after: &ApiClient,
    context: &RuleContext<'_>,
    errors: &mut FieldErrors,
) {
    if before.is_none() && change.label.is_absent() {
        errors.add("/label", "is required");
    }
    let grants_read = !errors.has("/products") && !errors.has("/permissions");
    let grants_changed = before
        .is_none_or(|before| before.products != after.products || before.permissions != after.permissions);
    if grants_read && grants_changed && after.products.is_empty() && after.permissions.is_empty() {
        errors.add("/products", "and permissions are both empty: grant at least one product or permission");
    }
    check_expiry(change, before, after, context, errors);
    check_signing_alg(before, after, context, errors);
}

/// Checks that the expiry is within the caps of the workspace and of each product. A product that the client had before is
/// checked only if the expiry changes.
fn check_expiry(
    change: &ClientChange,
    before: Option<&ApiClient>,
    after: &ApiClient,
    context: &RuleContext<'_>,
    errors: &mut FieldErrors,
) {
    let expiry_changed = before.is_none_or(|before| before.token_expiry != after.token_expiry);
    if expiry_changed && after.token_expiry.is_never() && !context.workspace.never_expires_allowed {
        errors.add("/token_expiry/mode", "the workspace does not allow tokens that never expire");
    }
    for code in &after.products {
        let product_is_new = before.is_none_or(|before| !before.products.contains(code));
        let Some(product) = context.products.get(code).filter(|_| expiry_changed || product_is_new) else {
            continue;
        };
        let Some((member, why)) = beyond_cap(after.token_expiry, product) else { continue };
        match change.token_expiry.value() {
            Some(_) => errors.add(format!("/token_expiry/{member}"), why),
            None => errors.add(
                pointer_to(change, code),
                format!("{why}; set a shorter token_expiry in the same request"),
            ),
        }
    }
}

/// Which member of the expiry exceeds the product's caps, and how; `None` if none does.
fn beyond_cap(expiry: TokenExpiry, product: &Product) -> Option<(&'static str, String)> {
    let code = &product.product;
    match (expiry, product.max_token_lifetime_seconds) {
        (TokenExpiry::Never {}, _) if !product.never_expires_allowed => {
            Some(("mode", format!("the product {code} does not allow tokens that never expire")))
        }
        (TokenExpiry::Never {}, Some(cap)) => {
            Some(("mode", format!("tokens for the product {code} are valid for at most {cap} seconds")))
        }
        (TokenExpiry::After { seconds }, Some(cap)) if seconds > cap => Some((
            "seconds",
            format!("tokens for the product {code} are valid for at most {cap} seconds, not {seconds}"),
        )),
        _ => None,
    }
}

/// The JSON pointer to the product in the change.
fn pointer_to(change: &ClientChange, code: &str) -> String {
    let index = change.products.value().and_then(|codes| codes.iter().position(|named| named == code));
    index.map_or_else(|| "/products".to_owned(), |index| format!("/products/{index}"))
}

/// Checks that there are active keys of the client's own algorithm, if it has one, when the change makes these keys necessary.
fn check_signing_alg(
    before: Option<&ApiClient>,
    after: &ApiClient,
    context: &RuleContext<'_>,
    errors: &mut FieldErrors,
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
            errors.add(
                "/signing_alg",
                format!(
                    "there is no active {alg} key of the class {use_for}: create one first with POST /v1/signing-keys \
                     {{\"alg\": \"{alg}\", \"use_for\": \"{use_for}\"}}"
                ),
            );
        }
    }
}

/// Checks that a caller grants only permissions that it holds, and does not gain access to a client that has more permissions
/// (docs/management-api.md, *Permissions cannot be gained through another client*). Permissions that the client had before do
/// not count as granted, and removing permissions gives no access.
pub(super) fn may_change(
    caller: &Caller,
    before: Option<&ApiClient>,
    after: &ApiClient,
) -> Result<(), Error> {
    let held = before.map(|before| before.permissions.as_slice()).unwrap_or_default();
    let granted = after.permissions.iter().filter(|permission| !held.contains(permission));
    let granted: Vec<Permission> = granted.copied().collect();
    match before.filter(|before| opens_access(before, after)) {
        Some(before) => caller.must_not_step_up(&[before.permissions.as_slice(), &granted].concat()),
        None => {
            caller.must_hold_all(&granted, "you cannot grant a permission that your token does not carry")
        }
    }
}

/// Whether a change may give somebody access that they did not have before: to act as the client at all, or to act as it with
/// more permissions. The members that say how a client authenticates belong here as soon as they can be changed.
fn opens_access(before: &ApiClient, after: &ApiClient) -> bool {
    let end = |client: &ApiClient| client.expires_at.unwrap_or(UnixSeconds::MAX);
    after.permissions.iter().any(|permission| !before.permissions.contains(permission))
        || before.allowed_ips != after.allowed_ips
        || end(after) > end(before)
        || (before.disabled_at.is_some() && after.disabled_at.is_none())
}
