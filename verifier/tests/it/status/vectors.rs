//! The draft's own lists: the examples of §4.1 and §4.2, and the four of appendix C with 2^20 entries each
//! (draft-ietf-oauth-status-list-21).

use super::{set_up, token};
use crate::support::{LIST, good_claims, keys, list_claims, with};
use mintmark_verifier::{Slots, VerifyError};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Vector {
    name: String,
    bits: u64,
    lst: String,
    /// Index and value; all others are 0.
    statuses: Vec<(u64, u8)>,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("draft_vectors.json")).unwrap()
}

#[test]
fn the_entries_of_the_drafts_lists_are_read() {
    let vectors = vectors();
    let lengths: Vec<_> = vectors.iter().map(|vector| (vector.bits, vector.statuses.len())).collect();
    assert_eq!(lengths, [(1, 16), (2, 12), (1, 11), (2, 11), (4, 15), (8, 256)]);
    for Vector { name, bits, lst, statuses } in vectors {
        let slots = Slots::decode(bits, &lst).unwrap();
        // A short list has exactly the entries in `statuses`.
        let count = if name.contains("2^20") { 1 << 20 } else { statuses.len() as u64 };
        let set: HashMap<u64, u8> = statuses.into_iter().collect();
        for idx in 0..count {
            assert_eq!(slots.get(idx), Some(set.get(&idx).copied().unwrap_or(0)), "{name}: {idx}");
        }
        assert_eq!((slots.get(count), slots.get(u64::MAX)), (None, None), "{name}");
    }
}

#[tokio::test]
async fn the_drafts_lists_determine_the_status_of_a_token() {
    for Vector { name, bits, lst, statuses } in vectors() {
        let (issuer, _, verifier) = set_up();
        issuer.publish_list(&list_claims(&json!({"bits": bits, "lst": lst})));
        // The entry of the usual token is 0 in the long lists, and beyond the end of the short ones.
        assert_eq!(verifier.verify(&token()).await.is_ok(), name.contains("2^20"), "{name}");
        for (idx, value) in statuses {
            let status = json!({"status_list": {"idx": idx, "uri": LIST}});
            let token = keys().eddsa.token(&with(good_claims(), "status", status));
            let expected = match value {
                0 => Ok(()),
                1 => Err(VerifyError::Revoked),
                2 => Err(VerifyError::Suspended),
                other => Err(VerifyError::UnknownStatus(other)),
            };
            assert_eq!(verifier.verify(&token).await.map(drop), expected, "{name}: {idx}");
        }
    }
}
