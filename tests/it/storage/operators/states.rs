//! States: what one step of a sign-in stores for the next step.

use super::staffed;
use crate::storage::samples::NOW;
use crate::support::{Engine, on_both_engines};

on_both_engines!(a_state_is_taken_once, of_many_who_take_a_state_one_gets_it, expired_states_are_deleted);

async fn a_state_is_taken_once(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    storage.put_state(b"hash", "oidc", b"sealed", NOW + 10).await.unwrap();
    assert_eq!(storage.take_state(b"hash", "totp", NOW).await.unwrap(), None, "another purpose");
    assert_eq!(storage.take_state(b"other", "oidc", NOW).await.unwrap(), None);
    assert_eq!(storage.take_state(b"hash", "oidc", NOW + 10).await.unwrap(), None, "expired");
    for (name, purpose, now, found) in [
        (b"hash".as_slice(), "oidc", NOW + 9, Some(b"sealed".to_vec())),
        (b"hash", "totp", NOW, None),
        (b"other", "oidc", NOW, None),
        (b"hash", "oidc", NOW + 10, None),
    ] {
        assert_eq!(
            storage.state(name, purpose, now).await.unwrap(),
            found,
            "reading a state does not take it"
        );
    }
    assert_eq!(storage.take_state(b"hash", "oidc", NOW + 9).await.unwrap(), Some(b"sealed".to_vec()));
    assert_eq!(storage.take_state(b"hash", "oidc", NOW + 9).await.unwrap(), None);
}

async fn of_many_who_take_a_state_one_gets_it(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    storage.put_state(b"hash", "oidc", b"sealed", NOW + 10).await.unwrap();
    let taken =
        futures_util::future::join_all((0..8).map(|_| storage.take_state(b"hash", "oidc", NOW))).await;
    assert_eq!(taken.into_iter().filter(|taken| taken.as_ref().unwrap().is_some()).count(), 1);
}

async fn expired_states_are_deleted(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    storage.put_state(b"a", "oidc", b"sealed", NOW + 10).await.unwrap();
    storage.put_state(b"b", "oidc", b"sealed", NOW + 20).await.unwrap();
    assert_eq!(storage.purge_states(NOW + 10, 10).await.unwrap(), 1);
    assert!(storage.take_state(b"b", "oidc", NOW + 10).await.unwrap().is_some());
}
