//! What a token can be granted, and what it is granted: scope, products and audience, which always describe the same set
//! (RFC 6749 §3.3, RFC 8707 §2).

use std::sync::Arc;

use super::product::Product;
use super::scope::Permission;

/// One scope token a client may be granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grantable {
    /// The scope token.
    pub scope: Box<str>,
    /// The audience of tokens that include it.
    pub audience: Arc<str>,
    /// Whether it is a permission on Mintmark itself rather than a product.
    pub is_permission: bool,
    /// The cap on token lifetime, in seconds; `None` for a product without a cap.
    pub lifetime_max: Option<i64>,
    /// Whether a never-expiring token may include it.
    pub never_expires_allowed: bool,
}

/// A set of scope tokens that belongs together in one access token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The scope tokens, space-separated.
    pub scope: Arc<str>,
    /// The product codes among them.
    pub products: Box<[Box<str>]>,
    /// Their audiences, without repetition, sorted bytewise.
    pub audiences: Box<[Arc<str>]>,
    /// Whether a permission is among them.
    pub has_permission: bool,
    /// The smallest cap on lifetime among them, in seconds; `None` if none has a cap.
    pub lifetime_max: Option<i64>,
    /// Whether a never-expiring token may include all of them.
    pub never_expires_allowed: bool,
}

impl Grant {
    /// The grant of exactly these scope tokens, in the order given.
    pub fn of<'a>(parts: &(impl Iterator<Item = &'a Grantable> + Clone)) -> Self {
        let mut scope = String::new();
        for part in parts.clone() {
            if !scope.is_empty() {
                scope.push(' ');
            }
            scope.push_str(&part.scope);
        }
        let mut audiences: Vec<Arc<str>> = parts.clone().map(|part| Arc::clone(&part.audience)).collect();
        audiences.sort_unstable();
        audiences.dedup();
        Self {
            scope: scope.into(),
            products: parts
                .clone()
                .filter(|part| !part.is_permission)
                .map(|part| part.scope.clone())
                .collect(),
            audiences: audiences.into_boxed_slice(),
            has_permission: parts.clone().any(|part| part.is_permission),
            lifetime_max: parts.clone().filter_map(|part| part.lifetime_max).min(),
            never_expires_allowed: parts
                .clone()
                .all(|part| part.never_expires_allowed && !part.is_permission),
        }
    }

    /// The product codes among the scope tokens, space-separated.
    pub fn products_as_text(&self) -> Arc<str> {
        if self.has_permission { self.products.join(" ").into() } else { Arc::clone(&self.scope) }
    }
}

/// The values of the claims that depend on a grant, as JSON. An [`Offer`] keeps those for the grant of all its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GrantClaims {
    /// `aud`: a string if there is one audience, otherwise an array (RFC 7519 §4.1.3).
    pub aud: Box<str>,
    /// `scope`, a string (RFC 9068 §2.2.3).
    pub scope: Box<str>,
    /// `products`, always an array.
    pub products: Box<str>,
}

impl GrantClaims {
    /// The claims of `grant`.
    pub fn of(grant: &Grant) -> Self {
        let aud = match &*grant.audiences {
            [one] => json_string(one),
            many => json_array(many.iter().map(|audience| &**audience)),
        };
        let products = json_array(grant.products.iter().map(|code| &**code));
        Self { aud: aud.into(), scope: json_string(&grant.scope).into(), products: products.into() }
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_array<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<serde_json::Value>().to_string()
}

/// Everything a client may be granted, and the grant that a request without a scope gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Products by code, then permissions by name.
    pub parts: Box<[Grantable]>,
    /// The grant of all of `parts`.
    pub whole: Grant,
    /// The claims of `whole`.
    pub whole_claims: GrantClaims,
    /// `mintmark:read`, if the client has `mintmark:manage` but not `mintmark:read`: granted on request, not by default.
    pub included: Option<Grantable>,
}

/// The audiences that are not a product's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audiences {
    /// The audience of products without their own: `tokens.default_audience`.
    pub default: Arc<str>,
    /// The audience of permissions: the issuer.
    pub issuer: Arc<str>,
}

impl Offer {
    /// What a client with these products and permissions may be granted.
    pub fn new(products: &[Product], permissions: &[Permission], audiences: &Audiences) -> Self {
        let products = products.iter().map(|product| Grantable {
            scope: product.product.as_str().into(),
            audience: match &product.audience {
                // One allocation for all products that share the default.
                Some(own) if **own != *audiences.default => own.as_str().into(),
                _ => Arc::clone(&audiences.default),
            },
            is_permission: false,
            lifetime_max: product.max_token_lifetime_seconds,
            never_expires_allowed: product.never_expires_allowed,
        });
        let grantable = |permission: Permission| Grantable {
            scope: permission.as_str().into(),
            audience: Arc::clone(&audiences.issuer),
            is_permission: true,
            lifetime_max: Some(super::expiry::PERMISSION_LIFETIME_MAX),
            never_expires_allowed: false,
        };
        let is_included = !permissions.contains(&Permission::Read) && Permission::Read.is_held(permissions);
        let parts: Box<[Grantable]> = products.chain(permissions.iter().copied().map(grantable)).collect();
        let whole = Grant::of(&parts.iter());
        let whole_claims = GrantClaims::of(&whole);
        Self { parts, whole, whole_claims, included: is_included.then(|| grantable(Permission::Read)) }
    }

    /// Everything that may be requested by name.
    pub fn all(&self) -> impl Iterator<Item = &Grantable> + Clone {
        self.parts.iter().chain(&self.included)
    }

    /// The item with this scope token.
    pub fn part(&self, scope: &str) -> Option<&Grantable> {
        self.all().find(|part| *part.scope == *scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_as_text_are_the_scope_without_permissions() {
        let part = |scope: &str, is_permission| Grantable {
            scope: scope.into(),
            audience: Arc::from("https://example.com"),
            is_permission,
            lifetime_max: None,
            never_expires_allowed: true,
        };
        let parts = [part("e-invoicing", false), part("gst", false), part("mintmark:read", true)];
        for (of, scope, products) in [
            (&parts[..2], "e-invoicing gst", "e-invoicing gst"),
            (&parts[1..], "gst mintmark:read", "gst"),
            (&parts[2..], "mintmark:read", ""),
        ] {
            let grant = Grant::of(&of.iter());
            assert_eq!((&*grant.scope, &*grant.products_as_text()), (scope, products));
        }
    }
}
