//! The links that begin a sign-in by a provider, on the pages of the console.

use super::super::super::csrf::{self, Bound};
use super::super::super::door::Door;

/// A link to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct ProviderLink {
    pub(in crate::console) name: String,
    pub(in crate::console) href: String,
}

/// Links that sign in and lead to `next`.
pub(in crate::console) fn to_sign_in(door: &Door, next: &str) -> Vec<ProviderLink> {
    links(door, |_| vec![("next", next.to_owned())])
}

/// Links that make the session fresh and lead to `next`.
pub(in crate::console) fn to_sign_in_again(door: &Door, next: &str) -> Vec<ProviderLink> {
    links(door, |_| vec![("again", "1".to_owned()), ("next", next.to_owned())])
}

/// Links that make an account at the provider a way in of the signed-in operator. Each has a CSRF token, so that no other site
/// can start the linking.
pub(in crate::console) fn to_link(door: &Door, session_id: &str) -> Vec<ProviderLink> {
    links(door, |name| vec![("link", csrf::token(door, Bound::Session(&linking(session_id, name))))])
}

/// Links that use up the setup link with `token` and lead to `next`.
pub(in crate::console) fn to_set_up(door: &Door, token: &str, next: &str) -> Vec<ProviderLink> {
    links(door, |_| vec![("setup", token.to_owned()), ("next", next.to_owned())])
}

/// Whether `token` is the CSRF token of a link that [`to_link`] made for the session and the provider.
pub(super) fn is_link_token(door: &Door, session_id: &str, name: &str, token: &str) -> bool {
    csrf::is_token(door, Bound::Session(&linking(session_id, name)), token)
}

fn linking(session_id: &str, name: &str) -> String {
    format!("{session_id} link {name}")
}

fn links(door: &Door, query: impl Fn(&str) -> Vec<(&'static str, String)>) -> Vec<ProviderLink> {
    let link = |name: &String| {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query(name)).finish();
        ProviderLink { name: name.clone(), href: door.href(&format!("/sign-in/oidc/{name}?{query}")) }
    };
    door.providers.iter().map(link).collect()
}
