//! How deliveries are claimed for a time (a lease), and how the results of attempts are stored.

use futures_util::future::join_all;
use mintmark::model::delivery::{Channel, Claimed, NewDelivery, Report};
use mintmark::storage::{Next, Storage};

use super::webhook;
use crate::storage::samples::{NOW, change};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    a_setup_link_is_kept_only_while_its_mail_waits,
    a_due_delivery_is_claimed_once_until_its_lease_ends,
    each_host_with_due_deliveries_is_listed_once,
    a_result_counts_only_for_the_attempt_it_belongs_to,
    a_claim_that_is_given_back_leaves_no_trace,
    a_delivery_that_was_given_up_can_be_sent_again,
    two_processes_claim_each_delivery_once,
);

async fn queue(storage: &Storage, new: &[NewDelivery]) {
    let mut tx = storage.begin().await.unwrap();
    for delivery in new {
        assert!(tx.enqueue_delivery(delivery).await.unwrap());
    }
    tx.commit().await.unwrap();
}

async fn claim(storage: &Storage, now: i64, owner: &str) -> Option<Claimed> {
    storage.claim_delivery("a:443", now, owner, now + 120).await.unwrap()
}

async fn a_due_delivery_is_claimed_once_until_its_lease_ends(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let later = NewDelivery { first_attempt_at: NOW + 10, ..webhook("d0", "a:443") };
    queue(&storage, &[later, webhook("d1", "a:443"), webhook("d2", "b:443")]).await;
    assert_eq!(claim(&storage, NOW - 1, "one").await, None);
    let expected = Claimed {
        delivery_id: "d1".to_owned(),
        channel: Channel::Webhook,
        kind: "client.created".to_owned(),
        recipient: "wh_a:443".to_owned(),
        host: "a:443".to_owned(),
        workspace_id: Some("acme".to_owned()),
        about_id: "cl_1".to_owned(),
        body: "{\"n\":\"d1 ✓\"}".to_owned(),
        occurrences: 1,
        queued_at: NOW,
        attempt: 1,
        owner: "one".to_owned(),
    };
    assert_eq!(claim(&storage, NOW, "one").await, Some(expected.clone()));
    assert_eq!(claim(&storage, NOW + 9, "two").await, None, "`d1` is leased, and `d0` is not due");
    assert_eq!(claim(&storage, NOW + 10, "two").await.unwrap().delivery_id, "d0");
    assert_eq!(claim(&storage, NOW + 119, "two").await, None);
    // The lease of the first process has ended, so another process claims the delivery.
    let again = Claimed { attempt: 2, owner: "two".to_owned(), ..expected };
    assert_eq!(claim(&storage, NOW + 120, "two").await, Some(again));
}

async fn each_host_with_due_deliveries_is_listed_once(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert_eq!(storage.due_hosts(NOW).await.unwrap(), []);
    let at = |id: &str, host: &str, first_attempt_at| NewDelivery { first_attempt_at, ..webhook(id, host) };
    let mut new = vec![at("x1", "z:443", NOW - 5), at("x2", "later:443", NOW + 1), at("x3", "b:8443", NOW)];
    for number in 0..200 {
        new.push(at(&format!("d{number:04}"), "dead:443", NOW - 3));
    }
    queue(&storage, &new).await;
    let due = |storage: Storage, now| async move {
        let due = storage.due_hosts(now).await.unwrap();
        due.into_iter().map(|(host, at)| format!("{host} {}", at - NOW)).collect::<Vec<_>>()
    };
    assert_eq!(due(storage.clone(), NOW).await, ["z:443 -5", "dead:443 -3", "b:8443 0"]);
    let all = ["z:443 -5", "dead:443 -3", "b:8443 0", "later:443 1"];
    assert_eq!(due(storage.clone(), NOW + 1).await, all);
    database.session().await.execute("UPDATE deliveries SET sent_at = 1 WHERE host = 'z:443'").await;
    database.session().await.execute("UPDATE deliveries SET dead_at = 1 WHERE host = 'dead:443'").await;
    assert_eq!(due(storage, NOW).await, ["b:8443 0"]);
}

async fn state(database: &TestDatabase) -> String {
    let sql = "SELECT attempts || ' ' || next_attempt_at || ' ' || COALESCE(lease_owner, '-') || ' ' || lease_until
            || ' ' || COALESCE(sent_at, 0) || ' ' || COALESCE(dead_at, 0) || ' ' || COALESCE(last_status, 0) || ' '
            || COALESCE(last_error, '-') || ' ' || COALESCE(last_reply, '-')
        FROM deliveries WHERE delivery_id = 'd1'";
    database.session().await.texts(sql).await.remove(0)
}

async fn a_result_counts_only_for_the_attempt_it_belongs_to(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    queue(&storage, &[webhook("d1", "a:443")]).await;
    let first = claim(&storage, NOW, "one").await.unwrap();
    let report = |status: u16, error: Option<&str>| Report {
        status: Some(status),
        error: error.map(str::to_owned),
        reply: Some("✓".to_owned()),
    };
    let failed = report(503, Some("busy"));
    assert!(change!(storage, tx => tx.finish_delivery(&first, Next::At(NOW + 5), &failed)));
    assert_eq!(state(&database).await, format!("1 {} - 0 0 0 503 busy ✓", NOW + 5));
    // The same result again does not count, and neither does a result of a process that never had the lease.
    assert!(!change!(storage, tx => tx.finish_delivery(&first, Next::At(NOW + 9), &failed)));
    let second = claim(&storage, NOW + 5, "one").await.unwrap();
    let foreign = Claimed { owner: "two".to_owned(), ..second.clone() };
    let sent = report(200, None);
    for claimed in [&first, &foreign] {
        for next in [Next::Sent(NOW), Next::At(NOW), Next::Dead(NOW)] {
            assert!(!change!(storage, tx => tx.finish_delivery(claimed, next, &sent)));
        }
    }
    // The lease has ended, and no other process has claimed the delivery: the result still counts.
    assert!(change!(storage, tx => tx.finish_delivery(&second, Next::Sent(NOW + 200), &sent)));
    assert_eq!(state(&database).await, format!("2 {} - 0 {} 0 200 - ✓", NOW + 5, NOW + 200));
    assert_eq!(claim(&storage, NOW + 999, "one").await, None);

    database.session().await.execute("UPDATE deliveries SET sent_at = NULL").await;
    let third = claim(&storage, NOW + 999, "one").await.unwrap();
    let gone = report(410, Some("gone"));
    assert!(change!(storage, tx => tx.finish_delivery(&third, Next::Dead(NOW + 999), &gone)));
    assert_eq!(state(&database).await, format!("3 {} - 0 0 {} 410 gone ✓", NOW + 5, NOW + 999));
    assert_eq!(claim(&storage, NOW + 9_999, "one").await, None);
}

async fn a_setup_link_is_kept_only_while_its_mail_waits(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let link = |id: &str| NewDelivery {
        kind: "operator.setup_link_created".to_owned(),
        about_id: "o1".to_owned(),
        body: "sealed".to_owned(),
        ..webhook(id, "a:443")
    };
    for (id, next) in [("d1", Next::Sent(NOW)), ("d2", Next::Dead(NOW))] {
        queue(&storage, &[link(id)]).await;
        let claimed = claim(&storage, NOW, "one").await.unwrap();
        assert!(change!(storage, tx => tx.finish_delivery(&claimed, next, &Report::default())));
    }
    queue(&storage, &[link("d4")]).await;
    claim(&storage, NOW, "one").await.unwrap();
    let other = NewDelivery { about_id: "o2".to_owned(), ..link("d5") };
    queue(&storage, &[link("d3"), other, webhook("d6", "a:443")]).await;
    // `d4` is being sent, and `d3` waits. Both are deleted.
    change!(storage, tx => tx.drop_setup_link_mails("o1"));
    let bodies =
        "SELECT delivery_id || ' ' || (body = 'sealed') || ' ' || (body = '{}') FROM deliveries ORDER BY 1";
    let words = |flags: &str| {
        if engine == Engine::Sqlite {
            flags.to_owned()
        } else {
            flags.replace('1', "true").replace('0', "false")
        }
    };
    let expected = [("d1", "0 1"), ("d2", "0 1"), ("d5", "1 0"), ("d6", "0 0")];
    let expected: Vec<String> = expected.iter().map(|(id, flags)| format!("{id} {}", words(flags))).collect();
    assert_eq!(database.session().await.texts(bodies).await, expected);
}

async fn a_claim_that_is_given_back_leaves_no_trace(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    queue(&storage, &[webhook("d1", "a:443")]).await;
    let claimed = claim(&storage, NOW, "one").await.unwrap();
    assert!(storage.give_back_delivery(&claimed).await.unwrap());
    assert_eq!(state(&database).await, format!("0 {NOW} - 0 0 0 0 - -"));
    assert!(!storage.give_back_delivery(&claimed).await.unwrap());
    let again = claim(&storage, NOW, "two").await.unwrap();
    assert_eq!(again.attempt, 1);
    assert!(!storage.give_back_delivery(&claimed).await.unwrap(), "another process has claimed it since");
    assert!(!change!(storage, tx => tx.finish_delivery(&claimed, Next::Sent(NOW), &Report::default())));
}

async fn a_delivery_that_was_given_up_can_be_sent_again(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    queue(&storage, &[webhook("d1", "a:443")]).await;
    assert!(!change!(storage, tx => tx.send_delivery_again("d1", NOW)), "the delivery still waits");
    let claimed = claim(&storage, NOW, "one").await.unwrap();
    let report = Report { error: Some("gone".to_owned()), ..Report::default() };
    assert!(change!(storage, tx => tx.finish_delivery(&claimed, Next::Dead(NOW), &report)));
    assert!(change!(storage, tx => tx.send_delivery_again("d1", NOW + 7)));
    assert_eq!(state(&database).await, format!("0 {} - 0 0 0 0 gone -", NOW + 7), "the last error is kept");
    assert!(!change!(storage, tx => tx.send_delivery_again("d1", NOW)));
    assert!(!change!(storage, tx => tx.send_delivery_again("d9", NOW)));
    let again = claim(&storage, NOW + 7, "two").await.unwrap();
    assert_eq!((again.delivery_id.as_str(), again.attempt), ("d1", 1));
    assert!(change!(storage, tx => tx.finish_delivery(&again, Next::Sent(NOW + 7), &Report::default())));
    assert!(!change!(storage, tx => tx.send_delivery_again("d1", NOW)), "it was sent");
}

async fn two_processes_claim_each_delivery_once(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storages = [database.open().await, database.open().await];
    let ids: Vec<String> = (0..60).map(|number| format!("d{number:03}")).collect();
    queue(&storages[0], &ids.iter().map(|id| webhook(id, "a:443")).collect::<Vec<_>>()).await;
    let claiming = (0..8).map(|number| {
        let storage = storages[number % 2].clone();
        async move {
            let mut claimed = Vec::new();
            let mut misses = 0;
            // A process may find nothing although deliveries wait, because another process claims at the same time.
            while misses < 60 {
                match claim(&storage, NOW, &format!("owner {number}")).await {
                    Some(one) => claimed.push(one.delivery_id),
                    None => misses += 1,
                }
            }
            claimed
        }
    });
    let mut claimed: Vec<String> = join_all(claiming).await.into_iter().flatten().collect();
    claimed.sort();
    assert_eq!(claimed, ids);
}
