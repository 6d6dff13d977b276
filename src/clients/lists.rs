//! The lists of an API client that a request names: their bounds, and every bad item reported by its index.

use std::collections::HashSet;
use std::hash::Hash;

use crate::model::field_errors::FieldErrors;
use crate::model::member::Member;

/// The rules of a list, whatever its items are.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListRule {
    pointer: &'static str,
    max: usize,
    /// Whether an item that is listed twice is refused.
    once: bool,
}

// Each product and each permission can be listed only once, so these lists need no other bound.
pub(super) const PRODUCTS: ListRule = ListRule { pointer: "/products", max: usize::MAX, once: true };
pub(super) const PERMISSIONS: ListRule = ListRule { pointer: "/permissions", max: usize::MAX, once: true };
pub(super) const EMAILS: ListRule = ListRule { pointer: "/notification_emails", max: 20, once: true };
pub(super) const NETWORKS: ListRule = ListRule { pointer: "/allowed_ips", max: 100, once: false };

/// Reads a list of strings. `None` if the change does not name the list, or if anything in it breaks a rule.
pub(super) fn list<T: Clone + Eq + Hash>(
    member: &Member<Vec<String>>,
    rule: ListRule,
    errors: &mut FieldErrors,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let ListRule { pointer, max, once } = rule;
    let words = match member {
        Member::Absent => return None,
        Member::Null => return Some(Vec::new()),
        Member::Value(words) => words,
    };
    if words.len() > max {
        errors.add(pointer, format!("must have at most {max} items; it has {}", words.len()));
        return None;
    }
    let before = errors.len();
    let mut seen = HashSet::new();
    let mut items = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        match read(word) {
            Ok(item) if once && !seen.insert(item.clone()) => {
                errors.add(format!("{pointer}/{index}"), "is listed twice: list it once");
            }
            Ok(item) => items.push(item),
            Err(why) => errors.add(format!("{pointer}/{index}"), why),
        }
    }
    (errors.len() == before).then_some(items)
}
