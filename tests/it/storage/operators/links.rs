//! Setup links: one for each operator, used once.

use super::{operator, staffed};
use crate::storage::samples::{NOW, change};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_link_works_once_and_until_it_expires,
    a_new_link_replaces_the_one_before_and_a_link_can_be_revoked,
    expired_links_are_deleted
);

async fn a_link_works_once_and_until_it_expires(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let id = operator(1, &[]).operator_id;
    change!(storage, tx => tx.put_setup_link(&id, b"link", NOW + 10, NOW));
    for _ in 0..2 {
        assert_eq!(
            storage.setup_link(b"link", NOW + 9).await.unwrap(),
            Some(id.clone()),
            "reading a link does not use it"
        );
    }
    assert_eq!(storage.setup_link(b"link", NOW + 10).await.unwrap(), None);
    assert_eq!(storage.setup_link(b"other", NOW).await.unwrap(), None);
    assert_eq!(change!(storage, tx => tx.use_setup_link(b"link", NOW + 10)), None);
    assert_eq!(change!(storage, tx => tx.use_setup_link(b"link", NOW + 9)), Some(id));
    assert_eq!(change!(storage, tx => tx.use_setup_link(b"link", NOW + 9)), None);
}

async fn a_new_link_replaces_the_one_before_and_a_link_can_be_revoked(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let id = operator(1, &[]).operator_id;
    change!(storage, tx => tx.put_setup_link(&id, b"old", NOW + 10, NOW));
    change!(storage, tx => tx.put_setup_link(&id, b"new", NOW + 20, NOW + 5));
    assert_eq!(storage.setup_link(b"old", NOW).await.unwrap(), None);
    assert_eq!(storage.setup_link(b"new", NOW + 19).await.unwrap(), Some(id.clone()));
    change!(storage, tx => tx.revoke_setup_link(&id));
    assert_eq!(storage.setup_link(b"new", NOW).await.unwrap(), None);
}

async fn expired_links_are_deleted(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    change!(storage, tx => tx.put_setup_link(&operator(1, &[]).operator_id, b"link", NOW + 10, NOW));
    assert_eq!(storage.purge_setup_links(NOW + 9, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_setup_links(NOW + 10, 10).await.unwrap(), 1);
}
