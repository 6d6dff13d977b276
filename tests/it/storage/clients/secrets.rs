//! Client secrets: stored, counted, expired and deleted, and when they were last used.

use mintmark::model::reach::Reach;
use mintmark::model::secret::ClientSecret;
use mintmark::storage::{Storage, StorageError};

use crate::storage::samples::{NOW, change, client, secret, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_secret_is_stored_with_all_members,
    a_secret_needs_its_client_and_a_unique_id,
    the_other_secrets_expire_but_never_later_than_before,
    a_secret_is_deleted_once_and_only_for_its_client,
    secrets_that_expire_soon_are_counted,
    expired_secrets_of_a_client_are_deleted,
    last_uses_only_move_forward_and_change_nothing_else,
    last_uses_written_by_two_processes_do_not_deadlock,
);

async fn secrets(storage: &Storage, client_id: &str) -> Vec<ClientSecret> {
    change!(storage, tx => tx.secrets(client_id))
}

async fn secrets_that_expire_soon_are_counted(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, expires_at) in [("e1", Some(NOW)), ("e2", Some(NOW + 1)), ("e3", Some(NOW + 9)), ("e4", None)] {
        change!(storage, tx => tx.insert_secret(&ClientSecret { expires_at, ..secret(id, "cl_1") }));
    }
    // How many expire after the first time: by the second time, and by the third.
    assert_eq!(storage.secrets_expiring(NOW, NOW + 5, NOW + 9).await.unwrap(), (1, 2));
    assert_eq!(storage.secrets_expiring(NOW + 9, NOW + 10, NOW + 11).await.unwrap(), (0, 0));
}

async fn a_secret_is_stored_with_all_members(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let full = ClientSecret {
        mac: (0..=255).collect(),
        expires_at: Some(NOW + 5),
        last_used_at: Some(NOW + 2),
        ..secret("s0", "cl_1")
    };
    change!(storage, tx => tx.insert_secret(&full));
    assert!(change!(storage, tx => tx.secrets_with_ids(&["s0", "s9"])) == [full.clone()]);
    // Secrets come oldest first, which is the order of their ids. Expired secrets are included.
    assert!(secrets(&storage, "cl_1").await == [full, secret("s1", "cl_1")]);
    assert!(secrets(&storage, "cl_9").await.is_empty());
}

async fn a_secret_needs_its_client_and_a_unique_id(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for refused in [secret("s2", "cl_9"), secret("s1", "cl_1")] {
        let mut tx = storage.begin().await.unwrap();
        let outcome = tx.insert_secret(&refused).await;
        assert!(matches!(outcome, Err(StorageError::Conflict(_))), "{refused:?}: {outcome:?}");
    }
}

async fn the_other_secrets_expire_but_never_later_than_before(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    change!(storage, tx => tx.insert_secret(&secret("t1", "cl_2")));
    for (id, expires_at) in [("s2", Some(NOW + 10)), ("s3", Some(NOW + 100)), ("s4", None)] {
        change!(storage, tx => tx.insert_secret(&ClientSecret { expires_at, ..secret(id, "cl_1") }));
    }
    change!(storage, tx => tx.expire_other_secrets("cl_1", "s4", NOW + 50));
    let ends: Vec<_> = secrets(&storage, "cl_1").await.into_iter().map(|s| s.expires_at).collect();
    assert_eq!(ends, [Some(NOW + 50), Some(NOW + 10), Some(NOW + 50), None]);
    assert_eq!(secrets(&storage, "cl_2").await[0].expires_at, None);
}

async fn a_secret_is_deleted_once_and_only_for_its_client(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    assert!(!change!(storage, tx => tx.delete_secret("cl_2", "s1")), "the secret belongs to another client");
    assert!(change!(storage, tx => tx.delete_secret("cl_1", "s1")));
    assert!(!change!(storage, tx => tx.delete_secret("cl_1", "s1")));
    assert!(secrets(&storage, "cl_1").await.is_empty());
}

async fn expired_secrets_of_a_client_are_deleted(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, end) in [("s2", NOW + 10), ("s3", NOW + 11)] {
        change!(storage, tx => tx.insert_secret(&ClientSecret { expires_at: Some(end), ..secret(id, "cl_1") }));
    }
    change!(storage, tx => tx.delete_expired_secrets("cl_9", NOW + 100));
    change!(storage, tx => tx.delete_expired_secrets("cl_1", NOW + 10));
    let left: Vec<_> = secrets(&storage, "cl_1").await.into_iter().map(|s| s.secret_id).collect();
    assert_eq!(left, ["s1", "s3"]);
}

async fn last_uses_only_move_forward_and_change_nothing_else(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let seq = storage.change_seq().await.unwrap();
    let used = async || secrets(&storage, "cl_1").await[0].last_used_at;
    storage.touch_secrets(&[] as &[(&str, i64)]).await.unwrap();
    assert_eq!(used().await, None);
    storage.touch_secrets(&[("s1".to_owned(), NOW + 5), ("gone".to_owned(), NOW)]).await.unwrap();
    assert_eq!(used().await, Some(NOW + 5));
    storage.touch_secrets(&[("s1".to_owned(), NOW + 4)]).await.unwrap();
    assert_eq!(used().await, Some(NOW + 5));
    assert_eq!(storage.change_seq().await.unwrap(), seq);
    let record = storage.client(&Reach::Platform, "cl_1", NOW).await.unwrap().unwrap();
    assert_eq!(record.client, client("cl_1"));
}

async fn last_uses_written_by_two_processes_do_not_deadlock(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    let ids: Vec<String> = (100..300).map(|number| format!("t{number}")).collect();
    for id in &ids {
        tx.insert_secret(&secret(id, "cl_1")).await.unwrap();
    }
    tx.commit().await.unwrap();
    let other = database.open().await;
    for round in 1..=10 {
        let forward: Vec<_> = ids.iter().map(|id| (id.clone(), NOW + 2 * round)).collect();
        let backward: Vec<_> = ids.iter().rev().map(|id| (id.clone(), NOW + 2 * round + 1)).collect();
        let (one, two) =
            futures_util::future::join(storage.touch_secrets(&forward), other.touch_secrets(&backward)).await;
        one.unwrap();
        two.unwrap();
    }
}
