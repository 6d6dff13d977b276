//! Which grant a request gets, and how long its token is valid, or why the request is refused: the rules of scope, audience and
//! lifetime (RFC 6749 §3.3, RFC 8707 §2, `docs/tokens.md`), as pure functions.

use std::borrow::Cow;

use crate::model::clock::UnixSeconds;
use crate::model::expiry::{PERMISSION_LIFETIME_MAX, TokenExpiry};
use crate::model::grant::{Grant, Grantable, Offer};
use crate::model::scope;

/// Why a request gets no grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantError {
    /// The scope does not follow the grammar of RFC 6749 §3.3.
    MalformedScope,
    /// The client is not granted these scope tokens, which are separated by spaces; of many, only the first are named. Empty if
    /// all of them are too long to be named, or if the client is granted nothing at all.
    ScopeNotGranted(Box<str>),
    /// A resource is not an audience of the scope, or an audience of the scope is not among the resources.
    TargetNotGranted,
    /// Never-expiring tokens are no longer allowed by the workspace or a product.
    NeverExpiresNotAllowed,
}

/// The grant for a requested `scope` and `resources`; either may be empty, which requests everything.
///
/// # Errors
/// [`GrantError`]. A request for more than the client is granted is refused as a whole, never narrowed silently.
pub(super) fn select<'a>(
    offer: &'a Offer,
    scope: &str,
    resources: &[String],
) -> Result<Cow<'a, Grant>, GrantError> {
    if !scope::is_well_formed(scope) {
        return Err(GrantError::MalformedScope);
    }
    let is_resource = |part: &&Grantable| resources.iter().any(|resource| **resource == *part.audience);
    let asked = scope::tokens(scope);
    let grant = if asked.clone().next().is_none() {
        if resources.is_empty() {
            Cow::Borrowed(&offer.whole)
        } else {
            let chosen: Vec<&Grantable> = offer.parts.iter().filter(is_resource).collect();
            Cow::Owned(Grant::of(&chosen.into_iter()))
        }
    } else {
        let refused = asked.clone().filter(|token| offer.part(token).is_none());
        if refused.clone().next().is_some() {
            return Err(GrantError::ScopeNotGranted(named(refused)));
        }
        let is_asked = |part: &&Grantable| asked.clone().any(|token| *token == *part.scope);
        let chosen: Vec<&Grantable> = offer.all().filter(is_asked).collect();
        if !resources.is_empty() && !chosen.iter().all(is_resource) {
            return Err(GrantError::TargetNotGranted);
        }
        Cow::Owned(Grant::of(&chosen.into_iter()))
    };
    let served = |resource: &String| grant.audiences.iter().any(|audience| **audience == **resource);
    if !resources.iter().all(served) {
        return Err(GrantError::TargetNotGranted);
    }
    if grant.scope.is_empty() {
        return Err(GrantError::ScopeNotGranted(Box::default()));
    }
    Ok(grant)
}

/// The refused scope tokens that an error names, each once. Leaves out tokens that are longer than any scope token of this
/// service, and names only as many as fit into `IN_ALL` bytes.
fn named<'a>(refused: impl Iterator<Item = &'a str>) -> Box<str> {
    const LONGEST: usize = 64;
    const IN_ALL: usize = 256;
    let mut names = String::new();
    for token in refused.filter(|token| token.len() <= LONGEST) {
        if names.split(' ').any(|name| name == token) {
            continue;
        }
        if names.len() + 1 + token.len() > IN_ALL {
            break;
        }
        if !names.is_empty() {
            names.push(' ');
        }
        names.push_str(token);
    }
    names.into_boxed_str()
}

/// When a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// At this instant.
    Until(UnixSeconds),
    /// Never; it ends only by revocation.
    Never,
}

/// When a token of `grant` that is issued at `now` expires.
///
/// # Errors
/// [`GrantError::NeverExpiresNotAllowed`].
pub(super) fn lifetime(
    expiry: TokenExpiry,
    grant: &Grant,
    workspace_allows_never: bool,
    client_expires_at: Option<UnixSeconds>,
    now: UnixSeconds,
) -> Result<Lifetime, GrantError> {
    let seconds = match expiry {
        TokenExpiry::After { seconds } => Some(seconds),
        // A token with a permission always expires.
        TokenExpiry::Never {} if grant.has_permission => Some(PERMISSION_LIFETIME_MAX),
        TokenExpiry::Never {} if workspace_allows_never && grant.never_expires_allowed => None,
        TokenExpiry::Never {} => return Err(GrantError::NeverExpiresNotAllowed),
    };
    // A product's cap that was set or lowered after the client's `token_expiry` shortens the lifetime. The reply shows that in
    // `expires_in`.
    let seconds = match (seconds, grant.lifetime_max) {
        (Some(seconds), Some(cap)) => Some(seconds.min(cap)),
        (seconds, cap) => seconds.or(cap),
    };
    let end = seconds.map(|seconds| now.saturating_add(seconds));
    Ok(match (end, client_expires_at) {
        (Some(end), Some(client_end)) => Lifetime::Until(end.min(client_end)),
        (Some(end), None) | (None, Some(end)) => Lifetime::Until(end),
        (None, None) => Lifetime::Never,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::grant::Audiences;
    use crate::model::product::Product;
    use crate::model::scope::Permission;

    fn product(code: &str, audience: Option<&str>, cap: Option<i64>, never: bool) -> Product {
        Product {
            product: code.into(),
            name: code.into(),
            description: None,
            audience: audience.map(str::to_owned),
            max_token_lifetime_seconds: cap,
            never_expires_allowed: never,
            created_at: 0,
            updated_at: 0,
            version: 1,
        }
    }

    fn offer() -> Offer {
        let audiences =
            Audiences { default: Arc::from("https://h/products"), issuer: Arc::from("https://h") };
        let products = [
            product("e-invoicing", None, None, true),
            product("gst", Some("https://gst"), Some(600), true),
            product("tax", None, None, false),
        ];
        Offer::new(&products, &[Permission::Read], &audiences)
    }

    fn scope_and_audience(scope: &str, resources: &[&str]) -> Result<(String, Vec<String>), GrantError> {
        let resources: Vec<String> = resources.iter().map(|r| (*r).to_owned()).collect();
        let offer = offer();
        let grant = select(&offer, scope, &resources)?;
        Ok((grant.scope.to_string(), grant.audiences.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn a_request_without_scope_gets_everything_granted() {
        let (scope, audience) = scope_and_audience("", &[]).unwrap();
        assert_eq!(scope, "e-invoicing gst tax mintmark:read");
        assert_eq!(audience, ["https://gst", "https://h", "https://h/products"]);
    }

    #[test]
    fn a_subset_is_granted_in_the_order_of_the_offer_and_without_repetition() {
        let (scope, audience) = scope_and_audience("tax e-invoicing tax", &[]).unwrap();
        assert_eq!(scope, "e-invoicing tax");
        assert_eq!(audience, ["https://h/products"]);
    }

    #[test]
    fn a_scope_that_is_malformed_or_not_granted_is_refused_and_the_first_short_names_are_listed() {
        let refused = |names: &str| Err(GrantError::ScopeNotGranted(names.into()));
        assert_eq!(scope_and_audience("gst other", &[]), refused("other"));
        assert_eq!(scope_and_audience("b GST gst a b", &[]), refused("b GST a"));
        assert_eq!(scope_and_audience("gst\t", &[]), Err(GrantError::MalformedScope));
        // Scope tokens that are longer than any scope token of this service are not named. Of many shorter ones, only
        // the first are named.
        assert_eq!(scope_and_audience(&"x".repeat(65), &[]), refused(""));
        let many: Vec<String> = (0..100).map(|n| format!("scope-{n:02}")).collect();
        let Err(GrantError::ScopeNotGranted(names)) = scope_and_audience(&many.join(" "), &[]) else {
            panic!("{many:?} granted");
        };
        assert!((200..=256).contains(&names.len()) && many.join(" ").starts_with(&*names), "{names}");
        // A list of 256 characters is named whole. From one of 257 the last token is left out: the first three have 192.
        let of_lengths = |lengths: [usize; 4]| {
            let letters = ["a", "b", "c", "d"].iter().zip(lengths);
            letters.map(|(letter, length)| letter.repeat(length)).collect::<Vec<_>>().join(" ")
        };
        let (fits, too_long) = (of_lengths([63, 63, 63, 64]), of_lengths([63, 63, 64, 64]));
        assert_eq!((fits.len(), too_long.len()), (256, 257));
        assert_eq!(scope_and_audience(&fits, &[]), refused(&fits));
        assert_eq!(scope_and_audience(&too_long, &[]), refused(&too_long[..192]));
    }

    #[test]
    fn the_read_permission_of_a_manager_is_granted_only_on_request() {
        let audiences =
            Audiences { default: Arc::from("https://h/products"), issuer: Arc::from("https://h") };
        let offer = Offer::new(&[], &[Permission::Manage], &audiences);
        let scope = |asked| select(&offer, asked, &[]).map(|grant| grant.scope.to_string());
        assert_eq!(scope("").unwrap(), "mintmark:manage");
        assert_eq!(scope("mintmark:read").unwrap(), "mintmark:read");
        assert_eq!(scope("mintmark:read mintmark:manage").unwrap(), "mintmark:manage mintmark:read");
        let offer = Offer::new(&[], &[Permission::Introspect], &audiences);
        assert!(select(&offer, "mintmark:read", &[]).is_err());
    }

    #[test]
    fn resources_select_the_scope_if_none_is_requested_and_must_match_a_requested_one() {
        assert_eq!(scope_and_audience("", &["https://gst"]).unwrap().0, "gst");
        assert_eq!(
            scope_and_audience("", &["https://gst", "https://h/products"]).unwrap().0,
            "e-invoicing gst tax"
        );
        assert_eq!(scope_and_audience("gst", &["https://gst"]).unwrap().0, "gst");
        assert_eq!(scope_and_audience("gst tax", &["https://gst"]), Err(GrantError::TargetNotGranted));
        assert_eq!(
            scope_and_audience("gst", &["https://gst", "https://h"]),
            Err(GrantError::TargetNotGranted)
        );
        assert_eq!(scope_and_audience("", &["https://gst/"]), Err(GrantError::TargetNotGranted));
    }

    #[test]
    fn a_lifetime_stays_within_caps_and_client_expiry_and_never_expiring_must_be_allowed() {
        let offer = offer();
        let of = |scope: &str| select(&offer, scope, &[]).unwrap();
        let never = TokenExpiry::Never {};
        let hour = TokenExpiry::After { seconds: 3600 };
        // Issued at 1000. The cap of `gst` is 600 seconds, that of a permission is 3600.
        let rows = [
            (hour, "e-invoicing", true, None, Ok(Lifetime::Until(4600))),
            (hour, "gst", true, None, Ok(Lifetime::Until(1600))),
            (hour, "e-invoicing", true, Some(1010), Ok(Lifetime::Until(1010))),
            (TokenExpiry::After { seconds: 86400 }, "mintmark:read", true, None, Ok(Lifetime::Until(4600))),
            (never, "e-invoicing", true, None, Ok(Lifetime::Never)),
            (never, "e-invoicing", false, None, Err(GrantError::NeverExpiresNotAllowed)),
            (never, "tax", true, None, Err(GrantError::NeverExpiresNotAllowed)),
            (never, "gst", true, None, Ok(Lifetime::Until(1600))),
            (never, "e-invoicing", true, Some(9000), Ok(Lifetime::Until(9000))),
            (never, "mintmark:read", true, None, Ok(Lifetime::Until(4600))),
            (never, "mintmark:read gst", true, None, Ok(Lifetime::Until(1600))),
        ];
        for (expiry, scope, allowed, client_end, expected) in rows {
            let grant = of(scope);
            assert_eq!(
                lifetime(expiry, &grant, allowed, client_end, 1000),
                expected,
                "{expiry:?} {scope} {client_end:?}"
            );
        }
    }
}
