//! What authentication reads: the client with everything it needs, as of one value of the change counter.

use mintmark::model::secret::ClientSecret;
use mintmark::model::workspace::Workspace;
use mintmark::storage::{Change, Changes, StoredCredentials};

use crate::storage::samples::{NOW, change, client, product, secret, stocked, workspace};
use crate::support::{Engine, Statements, ended, on_both_engines};

on_both_engines!(
    one_read_returns_everything,
    an_unknown_client_is_read_with_the_counter_too,
    uncommitted_changes_are_not_seen,
    every_read_sees_one_state_of_the_database,
);

async fn one_read_returns_everything(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let expired = ClientSecret { expires_at: Some(NOW - 1), ..secret("s2", "cl_1") };
    change!(storage, tx => tx.insert_secret(&expired));
    let mut expected = StoredCredentials {
        client: client("cl_1"),
        workspace_suspended_at: None,
        workspace_never_expires_allowed: true,
        secrets: vec![secret("s1", "cl_1"), expired],
        products: vec![product("e-invoicing"), product("gst")],
    };
    assert_eq!(storage.credentials("cl_1").await.unwrap(), (Some(expected.clone()), 0));

    let suspended = Workspace { suspended_at: Some(NOW), never_expires_allowed: false, ..workspace("acme") };
    let mut tx = storage.begin().await.unwrap();
    tx.update_workspace(&suspended).await.unwrap();
    tx.changed(Change::Workspace("acme".to_owned()));
    tx.changed(Change::Product("gst".to_owned()));
    tx.commit().await.unwrap();
    expected.workspace_suspended_at = Some(NOW);
    expected.workspace_never_expires_allowed = false;
    assert_eq!(storage.credentials("cl_1").await.unwrap(), (Some(expected), 2));
}

async fn an_unknown_client_is_read_with_the_counter_too(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert_eq!(storage.credentials("cl_9").await.unwrap(), (None, 0));
    let mut tx = storage.begin().await.unwrap();
    tx.changed(Change::SigningKeys);
    tx.commit().await.unwrap();
    assert_eq!(storage.credentials("cl_9").await.unwrap(), (None, 1));
}

async fn uncommitted_changes_are_not_seen(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let before = storage.credentials("cl_1").await.unwrap();
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.delete_secret("cl_1", "s1").await.unwrap());
    tx.changed(Change::Client("cl_1".to_owned()));
    assert_eq!(
        storage.credentials("cl_1").await.unwrap(),
        before,
        "the reader sees the old state, and does not wait for the writer"
    );
    tx.commit().await.unwrap();
    let (after, seq) = storage.credentials("cl_1").await.unwrap();
    assert!(after.unwrap().secrets.is_empty());
    assert_eq!(seq, 1);
}

/// Each commit adds a secret and raises the counter by one, so in every state of the database the two numbers agree.
async fn every_read_sees_one_state_of_the_database(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let reader = database.open().await;
    let writing = async {
        for number in 0..60 {
            let mut tx = storage.begin().await.unwrap();
            tx.insert_secret(&secret(&format!("t{number}"), "cl_1")).await.unwrap();
            tx.changed(Change::Client("cl_1".to_owned()));
            let Changes::These { seq, .. } = tx.commit().await.unwrap() else {
                panic!("the commit must report its change")
            };
            assert_eq!(seq, number + 1);
        }
    };
    let mut writing = std::pin::pin!(writing);
    let mut reads = 0;
    loop {
        let written = ended(writing.as_mut()).await;
        let (found, seq) = reader.credentials("cl_1").await.unwrap();
        assert_eq!(i64::try_from(found.unwrap().secrets.len()).unwrap(), 1 + seq);
        reads += 1;
        if written {
            break;
        }
    }
    assert!(reads > 10, "{reads} reads are too few to overlap with the writes");
}

/// The cost of the first read of a client id does not reveal whether there is such a client. Tested on PostgreSQL, whose
/// statements run on the thread of the caller; the code is the same for both engines.
#[tokio::test]
async fn an_unknown_client_takes_as_many_statements_as_a_known_one() {
    let (_database, storage) = stocked(Engine::Postgres).await;
    let mut counts = Vec::new();
    for client_id in ["cl_1", "cl_9"] {
        let (found, statements) = Statements::during(storage.credentials(client_id)).await;
        assert_eq!(found.unwrap().0.is_some(), client_id == "cl_1");
        counts.push(statements.len());
    }
    assert!(counts[0] >= 4, "{counts:?}");
    assert_eq!(counts[0], counts[1]);
}
