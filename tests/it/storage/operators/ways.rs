//! Ways in: passwords with an authenticator app, recovery codes, passkeys and linked accounts. What may be used once is used
//! with a conditional write.

use futures_util::future::join_all;
use mintmark::model::operator::{Identity, OperatorStatus, StoredPasskey, StoredPassword, Way};

use super::{operator, staffed};
use crate::storage::samples::{NOW, change};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_password_and_its_app_are_found_by_address_and_id,
    a_time_step_of_the_app_is_used_once,
    a_recovery_code_is_used_once,
    a_passkey_is_stored_with_all_members_and_counts_up,
    an_account_is_linked_once,
    one_call_removes_all_ways_in,
);

fn id() -> String {
    operator(1, &[]).operator_id
}

fn passkey(number: u8) -> StoredPasskey {
    StoredPasskey {
        credential_id: vec![number; 20],
        operator_id: id(),
        public_key: vec![1, 2, 3],
        alg: -8,
        sign_count: 0,
        name: "Laptop ✓".to_owned(),
        created_at: NOW + i64::from(number),
        last_used_at: None,
    }
}

fn identity(subject: &str) -> Identity {
    Identity {
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
        operator_id: id(),
        provider: "corp".to_owned(),
        created_at: NOW,
        last_used_at: None,
    }
}

async fn a_password_and_its_app_are_found_by_address_and_id(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let bare = StoredPassword {
        operator_id: id(),
        password_hash: None,
        status: OperatorStatus::Active,
        totp_secret: None,
    };
    assert_eq!(storage.password(&id()).await.unwrap(), Some(bare.clone()));
    assert_eq!(storage.password_by_email("none@acme.example").await.unwrap(), None);
    assert_eq!(storage.password_times(&id()).await.unwrap(), (None, None));
    change!(storage, tx => tx.set_password(&id(), Some("$argon2id$x"), NOW + 1));
    change!(storage, tx => tx.set_totp(&id(), Some((b"sealed", 5)), NOW + 2));
    let set = StoredPassword {
        password_hash: Some("$argon2id$x".to_owned()),
        totp_secret: Some(b"sealed".to_vec()),
        ..bare.clone()
    };
    assert_eq!(storage.password_by_email("op1@acme.example").await.unwrap(), Some(set.clone()));
    assert_eq!(storage.password_times(&id()).await.unwrap(), (Some(NOW + 1), Some(NOW + 2)));
    assert!(!format!("{set:?}").contains("argon2"));
    let found = storage.operator(&id()).await.unwrap().unwrap();
    assert_eq!(found.sign_in, [Way::Password, Way::Totp]);
    change!(storage, tx => tx.set_totp(&id(), None, NOW));
    change!(storage, tx => tx.set_password(&id(), None, NOW));
    assert_eq!(storage.password(&id()).await.unwrap(), Some(bare));
    assert_eq!(storage.password_times(&id()).await.unwrap(), (None, None));
}

async fn a_time_step_of_the_app_is_used_once(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    assert!(!storage.use_totp_step(&id(), 6).await.unwrap(), "there is no app");
    change!(storage, tx => tx.set_totp(&id(), Some((b"sealed", 5)), NOW));
    for (step, used) in [(5, false), (4, false), (6, true), (6, false), (8, true), (7, false)] {
        assert_eq!(storage.use_totp_step(&id(), step).await.unwrap(), used, "{step}");
    }
    let id = id();
    let at_once = join_all((0..8).map(|_| storage.use_totp_step(&id, 9))).await;
    assert_eq!(at_once.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
}

async fn a_recovery_code_is_used_once(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    change!(storage, tx => tx.set_recovery_codes(&id(), &[vec![1; 32], vec![2; 32]]));
    assert_eq!(storage.count_recovery_codes(&id()).await.unwrap(), 2);
    assert!(!storage.use_recovery_code(&id(), &[3; 32], NOW).await.unwrap());
    assert!(!storage.use_recovery_code("none", &[1; 32], NOW).await.unwrap());
    let id = id();
    let at_once = join_all((0..8).map(|_| storage.use_recovery_code(&id, &[1; 32], NOW))).await;
    assert_eq!(at_once.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    assert_eq!(storage.count_recovery_codes(&id).await.unwrap(), 1);
    change!(storage, tx => tx.set_recovery_codes(&id, &[vec![1; 32]]));
    assert!(storage.use_recovery_code(&id, &[1; 32], NOW).await.unwrap(), "a new code");
    assert!(!storage.use_recovery_code(&id, &[2; 32], NOW).await.unwrap(), "a code from before");
}

async fn a_passkey_is_stored_with_all_members_and_counts_up(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    for number in [2, 1] {
        assert!(change!(storage, tx => tx.insert_passkey(&passkey(number))));
    }
    assert!(!change!(storage, tx => tx.insert_passkey(&passkey(1))), "this id is stored already");
    assert_eq!(storage.passkey(&[1; 20]).await.unwrap(), Some(passkey(1)));
    assert_eq!(storage.passkey(&[9; 20]).await.unwrap(), None);
    assert_eq!(storage.passkeys_of(&id()).await.unwrap(), [passkey(1), passkey(2)]);
    // A passkey without a counter always sends 0. After the first other number, each number must be greater than the last.
    for (count, used) in [(0, true), (0, true), (5, true), (5, false), (4, false), (0, false), (6, true)] {
        assert_eq!(storage.use_passkey(&[1; 20], count, NOW + 9).await.unwrap(), used, "{count}");
    }
    let used = StoredPasskey { sign_count: 6, last_used_at: Some(NOW + 9), ..passkey(1) };
    assert_eq!(storage.passkey(&[1; 20]).await.unwrap(), Some(used));
    assert!(!storage.rename_passkey("none", &[1; 20], "Key").await.unwrap(), "of another operator");
    assert!(!storage.rename_passkey(&id(), &[9; 20], "Key").await.unwrap());
    assert!(storage.rename_passkey(&id(), &[1; 20], "Key").await.unwrap());
    assert_eq!(storage.passkey(&[1; 20]).await.unwrap().unwrap().name, "Key");
    assert!(!change!(storage, tx => tx.delete_passkey("none", &[1; 20])), "of another operator");
    assert!(change!(storage, tx => tx.delete_passkey(&id(), &[1; 20])));
    assert!(!storage.use_passkey(&[1; 20], 7, NOW).await.unwrap());
    assert_eq!(storage.passkeys_of(&id()).await.unwrap(), [passkey(2)]);
}

async fn an_account_is_linked_once(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    assert!(change!(storage, tx => tx.insert_identity(&identity("a"))));
    assert!(!change!(storage, tx => tx.insert_identity(&identity("a"))));
    assert!(change!(storage, tx => tx.insert_identity(&identity("b"))));
    assert_eq!(storage.identity("https://login.example", "a").await.unwrap(), Some(identity("a")));
    assert_eq!(storage.identity("https://other.example", "a").await.unwrap(), None);
    assert!(storage.use_identity("https://login.example", "a", NOW + 9).await.unwrap());
    assert!(!storage.use_identity("https://login.example", "c", NOW + 9).await.unwrap());
    assert!(change!(storage, tx => tx.use_identity("https://login.example", "a", NOW + 9)));
    assert!(!change!(storage, tx => tx.use_identity("https://login.example", "c", NOW + 9)));
    let used = Identity { last_used_at: Some(NOW + 9), ..identity("a") };
    assert_eq!(storage.identities_of(&id()).await.unwrap(), [used, identity("b")]);
    assert!(!change!(storage, tx => tx.delete_identity("none", "https://login.example", "a")));
    assert!(change!(storage, tx => tx.delete_identity(&id(), "https://login.example", "a")));
    assert_eq!(storage.identities_of(&id()).await.unwrap(), [identity("b")]);
}

async fn one_call_removes_all_ways_in(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    change!(storage, tx => tx.set_password(&id(), Some("$argon2id$x"), NOW));
    change!(storage, tx => tx.set_totp(&id(), Some((b"sealed", 5)), NOW));
    change!(storage, tx => tx.set_recovery_codes(&id(), &[vec![1; 32]]));
    change!(storage, tx => tx.insert_passkey(&passkey(1)));
    change!(storage, tx => tx.insert_identity(&identity("a")));
    let found = storage.operator(&id()).await.unwrap().unwrap();
    assert_eq!(found.sign_in, [Way::Passkey, Way::Password, Way::Totp, Way::Oidc]);
    change!(storage, tx => tx.delete_ways_in(&id()));
    let found = storage.operator(&id()).await.unwrap().unwrap();
    assert_eq!(found.sign_in, []);
    assert_eq!(storage.count_recovery_codes(&id()).await.unwrap(), 0);
}
