//! Tests fills of the cache during which something changes. They are deterministic: a fill has two steps, read and store, and
//! the tests put the change between the two.

use std::sync::Arc;

use super::*;
use crate::clients::credentials::Secrets;
use crate::model::client::ActiveTokens;
use crate::model::expiry::TokenExpiry;
use crate::model::grant::{Audiences, Offer};
use crate::model::inline_id::ClientId;
use crate::model::product::Product;

const A: &str = "cl_aaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "cl_bbbbbbbbbbbbbbbbbbbbbb";

fn with_floor(seq: i64) -> CredentialCache {
    let cache = CredentialCache::default();
    cache.invalidate_all(seq);
    cache
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which the cache holds it")]
fn entry(client_id: &str) -> Option<Arc<Credentials>> {
    let audiences = Audiences { default: "https://d.example".into(), issuer: "https://i.example".into() };
    let product = Product {
        product: "gst".to_owned(),
        name: "GST".to_owned(),
        description: None,
        audience: None,
        max_token_lifetime_seconds: None,
        never_expires_allowed: true,
        created_at: 0,
        updated_at: 0,
        version: 1,
    };
    Some(Arc::new(Credentials {
        client_id: ClientId::new(client_id).unwrap(),
        workspace_id: "acme".into(),
        generation: 1,
        slot: None,
        active_tokens: ActiveTokens::Many,
        signing_alg: None,
        token_expiry: TokenExpiry::After { seconds: 3600 },
        expires_at: None,
        offer: Arc::new(Offer::new(&[product], &[], &audiences)),
        permissions: [].into(),
        workspace_never_expires_allowed: true,
        disabled: false,
        workspace_suspended: false,
        allowed_ips: [].into(),
        secrets: Secrets::default(),
        tally: crate::usage::Tally::default(),
    }))
}

#[test]
fn a_fill_that_overlaps_a_change_of_its_client_workspace_or_product_is_not_stored() {
    let changes = [
        Change::Client(A.to_owned()),
        Change::Workspace("acme".to_owned()),
        Change::Product("gst".to_owned()),
    ];
    for change in changes {
        let cache = with_floor(10);
        // The client is read at 10 and changed at 11, and then the fill goes on.
        cache.invalidate(11, &change);
        cache.fill(A, entry(A), 10);
        assert!(cache.get(A).is_none(), "{change:?}");
        // Read again, after the change.
        cache.fill(A, entry(A), 11);
        assert!(cache.get(A).is_some(), "{change:?}");
        cache.invalidate(12, &change);
        assert!(cache.get(A).is_none(), "{change:?}");
    }
}

#[test]
fn a_fill_of_an_unknown_client_that_overlaps_its_creation_is_not_stored() {
    let cache = with_floor(10);
    cache.invalidate(11, &Change::Client(A.to_owned()));
    cache.fill(A, None, 10);
    assert!(cache.get(A).is_none());
    cache.fill(B, None, 11);
    assert!(cache.get(B).is_some_and(|entry| entry.is_none()));
}

#[test]
fn a_fill_that_overlaps_changes_of_other_records_is_stored() {
    let cache = with_floor(10);
    for (seq, change) in (11..).zip([
        Change::Client(B.to_owned()),
        Change::Workspace("other".to_owned()),
        Change::Product("e-invoicing".to_owned()),
        Change::SigningKeys,
    ]) {
        cache.invalidate(seq, &change);
    }
    cache.fill(A, entry(A), 10);
    assert!(cache.get(A).is_some());
}

#[test]
fn a_fill_older_than_the_remembered_changes_or_than_the_last_emptying_is_not_stored() {
    let cache = with_floor(0);
    let remembered = i64::try_from(REMEMBERED_CHANGES).unwrap();
    for seq in 1..=remembered + 5 {
        cache.invalidate(seq, &Change::Client(format!("cl_{seq}")));
    }
    // Changes 1 to 5 are dropped, so it is unknown whether they were of this client.
    cache.fill(A, entry(A), 4);
    assert!(cache.get(A).is_none());
    cache.fill(A, entry(A), 5);
    assert!(cache.get(A).is_some());
    cache.invalidate_all(remembered + 10);
    assert!(cache.get(A).is_none());
    cache.fill(A, entry(A), remembered + 9);
    assert!(cache.get(A).is_none());
    cache.fill(A, entry(A), remembered + 10);
    assert!(cache.get(A).is_some());
}
