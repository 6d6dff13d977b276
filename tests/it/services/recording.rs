//! Two processes that record tokens of one client at once, each in a transaction of its own: if a new token ends older ones,
//! they take turns; otherwise they do not wait for each other. Also what a stop does with tokens that are not recorded yet. On
//! SQLite a writer locks the whole database, so all of this is tested on PostgreSQL only.

use std::net::IpAddr;
use std::sync::Arc;

use mintmark::clients::{ClientChange, Credentials};
use mintmark::issuance::TokenRequest;
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::member::{Member, WordOrNumber};
use mintmark::model::proof::Proof;
use mintmark::model::token::RecordedToken;
use mintmark::services::Services;
use mintmark::storage::{IssueCheck, IssueGuard};

use super::{Place, START, admin, wanted};
use crate::support::{Engine, until};

/// The cached client and the proof that a token request has after it has authenticated.
type Known = (Arc<Credentials>, Proof);

/// A client whose tokens never expire, as two processes know it.
async fn known(processes: [&Services; 2], active_tokens: WordOrNumber) -> [Known; 2] {
    let change = ClientChange {
        token_expiry: Member::Value(TokenExpiry::Never {}),
        active_tokens: Member::Value(active_tokens),
        ..wanted("ERP", &["gst"])
    };
    let made = processes[0].clients.create_client(&admin(), "acme", &change, None).await.unwrap();
    let home: IpAddr = "192.0.2.1".parse().unwrap();
    let id = &made.record.client.client_id;
    let known = processes.map(async |process| {
        process.clients.authenticate_secret(id, made.secret.expose(), home).await.unwrap().unwrap()
    });
    let [one, other] = known;
    [one.await, other.await]
}

async fn issue(process: &Services, (client, proof): &Known) {
    process.issuer.issue(client, proof, TokenRequest::default()).await.unwrap();
}

#[tokio::test]
async fn tokens_that_end_older_ones_are_recorded_in_turn() {
    for active_tokens in [WordOrNumber::Word("replace".to_owned()), WordOrNumber::Number(1)] {
        let place = Place::new(Engine::Postgres);
        place.furnish().await;
        let (one, other) = (place.services().await, place.services().await);
        let [by_one, by_other] = known([&one, &other], active_tokens.clone()).await;
        issue(&one, &by_one).await;
        // This transaction locks the row of the first token. The process whose turn it is has written its new token, and waits
        // here to end the first one. The other process waits for its turn, before it writes its token.
        let mut session = place.database.session().await;
        session.begin().await;
        session.execute("UPDATE access_tokens SET last_introspected_at = NULL").await;
        let both_wait = async {
            until("both wait", async || place.database.waiting().await == 2).await;
            session.execute("COMMIT").await;
        };
        tokio::join!(issue(&one, &by_one), issue(&other, &by_other), both_wait);
        let live = "SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL";
        assert_eq!(place.database.number(live).await, 1, "{active_tokens:?}");
        assert_eq!(place.database.number("SELECT COUNT(*) FROM access_tokens").await, 3);
    }
}

#[tokio::test]
async fn tokens_that_end_no_others_are_recorded_side_by_side() {
    let place = Place::new(Engine::Postgres);
    place.furnish().await;
    let (one, other) = (place.services().await, place.services().await);
    let [by_one, by_other] = known([&one, &other], WordOrNumber::Word("many".to_owned())).await;
    issue(&one, &by_one).await;
    let jti = place.database.session().await.texts("SELECT jti FROM access_tokens").await.remove(0);
    let storage = place.storage().await;
    // A process has recorded a token, and has not committed yet.
    let mut tx = storage.begin().await.unwrap();
    let token = tx.recorded_token(&jti).await.unwrap().unwrap();
    let token = RecordedToken { jti: "not committed".to_owned(), slot: None, ..token };
    let guard = IssueGuard { proof: Some(by_one.1), now: START, replaces: false };
    assert_eq!(tx.record_token(&token, &guard).await.unwrap(), IssueCheck::Allowed);
    tokio::select! {
        biased;
        () = issue(&other, &by_other) => {}
        () = place.database.someone_waits() => panic!("the other process waits for a token that it does not end"),
    }
    tx.commit().await.unwrap();
    assert_eq!(place.database.number("SELECT COUNT(*) FROM access_tokens").await, 3);
}

#[tokio::test]
async fn a_stop_records_tokens_that_wait_behind_others_of_their_client() {
    let place = Place::new(Engine::Postgres);
    place.furnish().await;
    let one = place.services().await;
    let [of_busy, _] = known([&one, &one], WordOrNumber::Word("many".to_owned())).await;
    let [of_free, _] = known([&one, &one], WordOrNumber::Word("many".to_owned())).await;
    let mut session = place.database.session().await;
    session.begin().await;
    let client_id = &of_busy.0.client_id;
    session.execute(&format!("SELECT 1 FROM api_clients WHERE client_id = '{client_id}' FOR UPDATE")).await;
    let (first, second) = (issue(&one, &of_busy), issue(&one, &of_busy));
    let stop = async {
        // The row of its client is locked, so the first token is left out of its group. It is recorded separately, and waits.
        place.database.someone_waits().await;
        // This token is queued after the second one. When it is recorded, the second has been left out too, and waits for the
        // first.
        issue(&one, &of_free).await;
        one.tokens.stop_recording_in_groups();
        // The recording task notices that no more tokens can arrive.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        session.execute("COMMIT").await;
    };
    let second = async {
        place.database.someone_waits().await;
        second.await;
    };
    tokio::join!(one.tokens.record_in_groups(), first, second, stop);
    assert_eq!(place.database.number("SELECT COUNT(*) FROM access_tokens").await, 3);
}
