//! Replies that are saved for `Idempotency-Key`, and replies with secrets that are saved for the console.

use mintmark::storage::StoredReply;

use crate::storage::samples::{NOW, change};
use crate::support::{Engine, TestDatabase, on_both_engines, outcome_after};

on_both_engines!(
    a_reply_is_kept_for_its_caller_method_path_and_key,
    a_reply_is_kept_once_until_it_expires,
    expired_replies_are_purged,
    a_reply_is_replaced,
    a_reply_is_erased_and_its_row_stays,
    only_replies_of_the_console_are_erased_by_time,
    replies_of_the_console_are_found_by_their_subject_until_they_expire_or_are_erased,
    of_two_requests_at_once_one_keeps_its_reply,
    a_request_proceeds_when_the_one_before_it_rolls_back,
);

fn reply(path: &str) -> StoredReply {
    StoredReply {
        caller: "cl_1".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        idempotency_key: "once".to_owned(),
        body_hash: vec![0, 0xff],
        sealed_reply: vec![0xff, 0],
        expires_at: NOW + 10,
        subject: None,
        erased_at: None,
        holds: None,
    }
}

/// A reply that the console shows until it is erased.
fn shown(path: &str) -> StoredReply {
    StoredReply { method: "CONSOLE".to_owned(), subject: Some("cl_2".to_owned()), ..reply(path) }
}

async fn a_reply_is_kept_for_its_caller_method_path_and_key(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert!(change!(storage, tx => tx.save_reply(&reply("/v1/products"), NOW)));
    let found = async |caller: &str, method: &str, path: &str, key: &str| {
        storage.saved_reply(caller, method, path, key, NOW).await.unwrap()
    };
    assert_eq!(found("cl_1", "POST", "/v1/products", "once").await, Some(reply("/v1/products")));
    assert_eq!(found("cl_2", "POST", "/v1/products", "once").await, None);
    assert_eq!(found("cl_1", "PUT", "/v1/products", "once").await, None);
    assert_eq!(found("cl_1", "POST", "/v1/workspaces", "once").await, None);
    assert_eq!(found("cl_1", "POST", "/v1/products", "twice").await, None);
    assert!(change!(storage, tx => tx.save_reply(&reply("/v1/workspaces"), NOW)));
}

async fn a_reply_is_kept_once_until_it_expires(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let first = reply("/");
    let second = StoredReply { sealed_reply: vec![2], expires_at: NOW + 99, ..reply("/") };
    assert!(change!(storage, tx => tx.save_reply(&first, NOW)));
    assert!(!change!(storage, tx => tx.save_reply(&second, NOW + 9)));
    let found = async |now| storage.saved_reply("cl_1", "POST", "/", "once", now).await.unwrap();
    assert_eq!(found(NOW + 9).await, Some(first));
    assert_eq!(found(NOW + 10).await, None);
    assert!(change!(storage, tx => tx.save_reply(&second, NOW + 10)));
    assert_eq!(found(NOW + 10).await, Some(second));
}

async fn expired_replies_are_purged(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for (path, expires_at) in [("/a", NOW), ("/b", NOW + 1)] {
        assert!(change!(storage, tx => tx.save_reply(&StoredReply { expires_at, ..reply(path) }, NOW - 1)));
    }
    assert_eq!(storage.purge_saved_replies(NOW, 500).await.unwrap(), 1);
    assert_eq!(storage.purge_saved_replies(NOW, 500).await.unwrap(), 0);
    assert!(storage.saved_reply("cl_1", "POST", "/b", "once", NOW).await.unwrap().is_some());
}

async fn a_reply_is_replaced(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for sealed_reply in [vec![1], vec![2, 2]] {
        let draft = StoredReply { sealed_reply, expires_at: NOW + 60, ..reply("/") };
        storage.replace_reply(&draft).await.unwrap();
        assert_eq!(storage.saved_reply("cl_1", "POST", "/", "once", NOW).await.unwrap(), Some(draft));
    }
}

async fn a_reply_is_erased_and_its_row_stays(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert!(!storage.erase_reply("cl_1", "CONSOLE", "/", "once", NOW).await.unwrap());
    assert!(change!(storage, tx => tx.save_reply(&shown("/"), NOW)));
    assert!(storage.erase_reply("cl_1", "CONSOLE", "/", "once", NOW + 1).await.unwrap());
    assert!(!storage.erase_reply("cl_1", "CONSOLE", "/", "once", NOW + 2).await.unwrap());
    let left = StoredReply { sealed_reply: Vec::new(), erased_at: Some(NOW + 1), ..shown("/") };
    assert_eq!(storage.saved_reply("cl_1", "CONSOLE", "/", "once", NOW).await.unwrap(), Some(left));
    assert!(!change!(storage, tx => tx.save_reply(&shown("/"), NOW)), "the row is still there");
}

async fn only_replies_of_the_console_are_erased_by_time(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for kept in [shown("/a"), StoredReply { expires_at: NOW + 11, ..shown("/b") }, reply("/c")] {
        assert!(change!(storage, tx => tx.save_reply(&kept, NOW)));
    }
    // At `NOW + 5`, erases those that expire by `NOW + 10`.
    assert_eq!(storage.erase_shown_replies(NOW + 10, NOW + 5).await.unwrap(), 1);
    assert_eq!(storage.erase_shown_replies(NOW + 10, NOW + 6).await.unwrap(), 0);
    let found = async |method: &str, path: &str| {
        storage.saved_reply("cl_1", method, path, "once", NOW).await.unwrap().unwrap()
    };
    assert_eq!(found("CONSOLE", "/a").await.erased_at, Some(NOW + 5));
    assert_eq!(found("CONSOLE", "/b").await.erased_at, None);
    assert_eq!(found("POST", "/c").await, reply("/c"));
}

async fn replies_of_the_console_are_found_by_their_subject_until_they_expire_or_are_erased(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let other = StoredReply { subject: Some("cl_3".to_owned()), ..shown("/b") };
    for kept in [shown("/a"), other, StoredReply { expires_at: NOW, ..shown("/c") }, reply("/d")] {
        assert!(change!(storage, tx => tx.save_reply(&kept, NOW - 1)));
    }
    assert_eq!(storage.shown_replies("cl_1", "cl_2", NOW).await.unwrap(), [shown("/a")]);
    assert_eq!(storage.shown_replies("cl_9", "cl_2", NOW).await.unwrap(), []);
    assert!(storage.erase_reply("cl_1", "CONSOLE", "/a", "once", NOW).await.unwrap());
    assert_eq!(storage.shown_replies("cl_1", "cl_2", NOW).await.unwrap(), []);
}

async fn of_two_requests_at_once_one_keeps_its_reply(engine: Engine) {
    let database = TestDatabase::new(engine);
    let [storage, other] = [database.open().await, database.open().await];
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.save_reply(&reply("/"), NOW).await.unwrap());
    let theirs = async { change!(other, tx => tx.save_reply(&reply("/"), NOW)) };
    let kept = outcome_after(&database, theirs, async { drop(tx.commit().await.unwrap()) }).await;
    assert!(!kept);
}

async fn a_request_proceeds_when_the_one_before_it_rolls_back(engine: Engine) {
    let database = TestDatabase::new(engine);
    let [storage, other] = [database.open().await, database.open().await];
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.save_reply(&reply("/"), NOW).await.unwrap());
    let theirs = async { change!(other, tx => tx.save_reply(&reply("/"), NOW)) };
    let kept = outcome_after(&database, theirs, async { tx.rollback().await.unwrap() }).await;
    assert!(kept);
}
