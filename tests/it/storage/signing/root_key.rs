//! The root key, sealed under the master key.

use mintmark::storage::SealedRoot;

use crate::storage::samples::{NOW, change};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(the_root_key_is_stored_once_and_replaced_only_if_its_fingerprint_matches);

async fn the_root_key_is_stored_once_and_replaced_only_if_its_fingerprint_matches(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert_eq!(storage.sealed_root().await.unwrap(), None);
    let root = SealedRoot { master_fingerprint: vec![0xfe; 8], sealed: vec![0; 60] };
    let other = SealedRoot { master_fingerprint: vec![1; 8], sealed: vec![1; 60] };
    assert_eq!(change!(storage, tx => tx.lock_sealed_root()), None);
    assert!(change!(storage, tx => tx.insert_sealed_root(&root, NOW)));
    assert!(!change!(storage, tx => tx.insert_sealed_root(&other, NOW)));
    assert_eq!(storage.sealed_root().await.unwrap(), Some(root.clone()));
    assert_eq!(change!(storage, tx => tx.lock_sealed_root()), Some(root.clone()));

    let before = &root.master_fingerprint;
    assert!(!change!(storage, tx => tx.replace_sealed_root(b"another", &other)));
    assert_eq!(storage.sealed_root().await.unwrap(), Some(root.clone()));
    assert!(change!(storage, tx => tx.replace_sealed_root(before, &other)));
    assert!(!change!(storage, tx => tx.replace_sealed_root(before, &root)));
    assert_eq!(storage.sealed_root().await.unwrap(), Some(other));
}
