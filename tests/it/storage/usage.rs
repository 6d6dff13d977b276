//! Usage of API clients: counts by hour and day, the networks they were used from, and refused requests.

use mintmark::model::inline_id::InlineId;
use mintmark::model::page::Page;
use mintmark::model::reach::Reach;
use mintmark::model::refusal::{Endpoint, Failure, Refusal};
use mintmark::model::secret::ClientSecret;
use mintmark::model::usage::{DAY, DayUsage, HOUR, Outcome, SeenFrom};
use mintmark::storage::{
    CountRow, FirstSeen, NetworkRow, SecretUse, SecretUseRow, SourceRow, Storage, UsageRows,
};

use crate::storage::samples::{change, client, page, secret, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    counts_add_up_by_hour_and_day,
    the_latest_sources_and_networks_are_kept,
    the_latest_failures_of_each_client_and_of_unknown_clients_are_kept,
    rows_of_records_that_do_not_exist_are_left_out,
    hours_past_their_time_are_added_to_their_days,
    two_processes_that_fold_count_once,
    counts_of_earlier_versions_are_taken_over,
    counts_are_purged_by_hour_and_day,
    a_first_use_is_returned_once,
);

/// The first second of a day.
const TODAY: i64 = 1_789_948_800;

fn id<const N: usize>(text: &str) -> InlineId<N> {
    InlineId::new(text).unwrap()
}

fn source(secret_id: &str, ip: &str, at: i64) -> SourceRow {
    SourceRow { client_id: id("cl_1"), secret_id: id(secret_id), source_ip: ip.parse().unwrap(), used_at: at }
}

fn count(client_id: &str, hour: i64, outcome: Outcome, times: i64) -> CountRow {
    CountRow { client_id: id(client_id), hour, outcome, times }
}

fn failure(number: usize, client_id: Option<&str>) -> Failure {
    Failure {
        failure_id: format!("{number:08}"),
        client_id: client_id.map(str::to_owned),
        workspace_id: None,
        at: TODAY,
        endpoint: Endpoint::Revoke,
        reason: Refusal::MalformedRequest,
        detail: Some("send ✓ \"this\"".to_owned()),
        source_ip: Some("2001:db8::1".to_owned()),
        secret_last_four: Some("x7Qa".to_owned()),
        request_id: "kT9vQ2mXc0GZr5oB7yLwNA".to_owned(),
    }
}

async fn counts_add_up_by_hour_and_day(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let refused = Outcome::Refused(Refusal::WrongSecret);
    let rows = UsageRows {
        counts: vec![
            count("cl_1", TODAY, Outcome::Issued, 2),
            count("cl_1", TODAY + HOUR, Outcome::Issued, 3),
            count("cl_1", TODAY + HOUR, refused, 1),
            count("cl_1", TODAY + DAY, refused, 5),
        ],
        secret_uses: vec![
            SecretUseRow { secret_id: id("s1"), hour: TODAY, times: 4 },
            SecretUseRow { secret_id: id("s1"), hour: TODAY + HOUR, times: 6 },
        ],
        ..UsageRows::default()
    };
    assert!(UsageRows::default().is_empty() && !rows.is_empty());
    for _ in 0..2 {
        change!(storage, tx => tx.add_usage(&rows));
    }
    change!(storage, tx => tx.count_issued("cl_1", TODAY));
    let days = storage.usage_by_day("cl_1", TODAY, TODAY + DAY).await.unwrap();
    let day = |day, issued, refused: &[(&'static str, i64)]| DayUsage {
        day,
        issued,
        refused: refused.iter().copied().collect(),
    };
    assert_eq!(
        days.into_values().collect::<Vec<_>>(),
        [day(TODAY, 11, &[("wrong_secret", 2)]), day(TODAY + DAY, 0, &[("wrong_secret", 10)])]
    );
    assert_eq!(storage.usage_by_day("cl_2", TODAY + 1, TODAY + DAY).await.unwrap().len(), 0);
    let hours = "SELECT SUM(times) FROM client_usage_hours WHERE hour = ";
    for (hour, times) in [(TODAY, 5), (TODAY + HOUR, 8), (TODAY + DAY, 10)] {
        assert_eq!(
            database.session().await.number(&format!("SELECT CAST(({hours}{hour}) AS BIGINT)")).await,
            times
        );
    }
    for (since, times) in [(TODAY, 20), (TODAY + 1, 12), (TODAY + HOUR + 1, 0)] {
        let uses = storage.uses_of_secrets(&["s1", "s9"], since).await.unwrap();
        assert_eq!(uses["s1"], SecretUse { times, ..SecretUse::default() });
        assert_eq!(uses["s9"], SecretUse::default());
    }
    let elsewhere = Reach::Workspace("w1".to_owned());
    for (reach, since, expected) in [
        (Reach::Platform, TODAY, Some(12)),
        (Reach::Platform, TODAY + HOUR + 1, Some(10)),
        (elsewhere, TODAY, None),
    ] {
        let found = storage.refusals_of_clients(&reach, &["cl_1", "cl_2"], since).await.unwrap();
        let is_within = storage.client_is_within(&reach, "cl_1").await.unwrap();
        assert_eq!(found.get("cl_1").copied(), expected.filter(|_| is_within), "{reach:?}");
        assert_eq!(found.get("cl_2"), None);
    }
    assert!(!storage.client_is_within(&Reach::Platform, "cl_9").await.unwrap());
}

async fn the_latest_sources_and_networks_are_kept(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let rows = |at: i64, ip: &str, networks: std::ops::Range<i64>| UsageRows {
        sources: vec![source("s1", ip, at)],
        networks: networks
            .map(|n| NetworkRow {
                client_id: id("cl_1"),
                network: format!("10.0.{n}.0/24").parse().unwrap(),
                last_seen_at: at + n,
                secret_id: id("s1"),
                source_ip: ip.parse().unwrap(),
            })
            .collect(),
        ..UsageRows::default()
    };
    for (at, ip, networks) in [
        (TODAY, "192.0.2.1", 0..60),
        (TODAY + 500, "192.0.2.2", 50..120),
        (TODAY + 100, "192.0.2.3", 119..120),
    ] {
        change!(storage, tx => tx.add_usage(&rows(at, ip, networks)));
    }
    let uses = storage.uses_of_secrets(&["s1"], TODAY).await.unwrap();
    assert_eq!(uses["s1"].source_ip.as_deref(), Some("192.0.2.2"));
    assert_eq!(uses["s1"].first_used_at, Some(TODAY));
    let networks = storage.networks_of_client("cl_1").await.unwrap();
    assert_eq!(networks.len(), 100, "the most that are kept of a client");
    let seen = |n: i64, last_seen_at| SeenFrom { network: format!("10.0.{n}.0/24"), last_seen_at };
    assert_eq!((&networks[0], &networks[99]), (&seen(119, TODAY + 619), &seen(20, TODAY + 20)));
    assert_eq!(storage.networks_of_client("cl_2").await.unwrap(), []);
}

async fn the_latest_failures_of_each_client_and_of_unknown_clients_are_kept(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let named = |number| match number % 3 {
        0 => Some("cl_1"),
        1 => Some("cl_9"),
        _ => None,
    };
    for batch in [0..1_500, 1_500..1_800] {
        let failures = batch.map(|number| failure(number, named(number))).collect();
        change!(storage, tx => tx.add_usage(&UsageRows { failures, ..UsageRows::default() }));
    }
    let of_client = storage.failures(Some("cl_1"), &Page { count: true, ..page(200, None) }).await.unwrap();
    assert_eq!((of_client.items.len(), of_client.total, of_client.next_after), (100, Some(100), None));
    let workspace_id = of_client.items[0].workspace_id.clone();
    assert!(workspace_id.is_some());
    assert_eq!(of_client.items[0], Failure { workspace_id, ..failure(1_797, Some("cl_1")) });
    assert_eq!(of_client.items[99].failure_id, format!("{:08}", 1_797 - 99 * 3));
    // Of a client the last 100 are kept, and the last 1,000 of the requests that name no existing client, such as `cl_9`.
    let all = storage.failures(None, &Page { count: true, ..page(2, None) }).await.unwrap();
    assert_eq!(all.total, Some(1_100));
    assert_eq!(all.items, [failure(1_799, None), failure(1_798, Some("cl_9"))]);
    let next = storage.failures(None, &page(1, all.next_after.as_deref())).await.unwrap();
    assert_eq!(next.items[0].failure_id, format!("{:08}", 1_797));
    assert_eq!(storage.failures(Some("cl_9"), &page(1, None)).await.unwrap().items, []);
}

async fn rows_of_records_that_do_not_exist_are_left_out(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let rows = UsageRows {
        counts: vec![count("gone", TODAY, Outcome::Issued, 1)],
        secret_uses: vec![SecretUseRow { secret_id: id("gone"), hour: TODAY, times: 1 }],
        sources: vec![source("gone", "192.0.2.1", TODAY)],
        networks: vec![NetworkRow {
            client_id: id("gone"),
            network: "10.0.0.0/24".parse().unwrap(),
            last_seen_at: TODAY,
            secret_id: id("gone"),
            source_ip: "10.0.0.1".parse().unwrap(),
        }],
        failures: Vec::new(),
    };
    change!(storage, tx => tx.add_usage(&rows));
    for table in ["client_usage_hours", "secret_usage_hours", "secret_sources", "client_networks"] {
        let rows = database.session().await.number(&format!("SELECT COUNT(*) FROM {table}")).await;
        assert_eq!(rows, 0, "{table}");
    }
    // The other rows are still stored, each once.
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    let counts = ["cl_1", "gone", "cl_2"].map(|client| count(client, TODAY, Outcome::Issued, 2));
    let uses = ["gone", "s1"].map(|secret| SecretUseRow { secret_id: id(secret), hour: TODAY, times: 3 });
    let rows = UsageRows { counts: counts.to_vec(), secret_uses: uses.to_vec(), ..UsageRows::default() };
    for times in 1..=2 {
        change!(storage, tx => tx.add_usage(&rows));
        let mut session = database.session().await;
        for (stored, added) in [
            ("COUNT(*) FROM client_usage_hours", 2),
            ("CAST(SUM(times) AS BIGINT) FROM client_usage_hours", 4 * times),
            ("CAST(SUM(times) AS BIGINT) FROM secret_usage_hours", 3 * times),
        ] {
            assert_eq!(session.number(&format!("SELECT {stored}")).await, added, "{stored}");
        }
    }
}

/// How many tokens were issued to `cl_1` from `TODAY` on, by day.
async fn issued_by_day(storage: &Storage) -> Vec<i64> {
    let days = storage.usage_by_day("cl_1", TODAY, TODAY + 9 * DAY).await.unwrap();
    days.into_values().map(|day| day.issued).collect()
}

async fn hours_past_their_time_are_added_to_their_days(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let refused = Outcome::Refused(Refusal::WrongSecret);
    let mut counts: Vec<CountRow> =
        (0..10).map(|n| count("cl_1", TODAY + n * 8 * HOUR, Outcome::Issued, 1 + n)).collect();
    counts.push(count("cl_1", TODAY + HOUR, refused, 7));
    change!(storage, tx => tx.add_usage(&UsageRows { counts, ..UsageRows::default() }));
    let mut session = database.session().await;
    let by_day = [1 + 2 + 3, 4 + 5 + 6, 7 + 8 + 9, 10];
    // `days` is a maximum: the engines may add the hours in different orders.
    for (before, folded, hours, days) in [
        (TODAY, 0, 11, 0),
        (TODAY + HOUR, 1, 10, 1),
        (TODAY + DAY + 8 * HOUR, 3, 7, 3),
        (TODAY + DAY + 8 * HOUR, 1, 6, 3),
        (TODAY + DAY + 8 * HOUR, 0, 6, 3),
        (TODAY + 9 * DAY, 3, 3, 4),
        (TODAY + 9 * DAY, 3, 0, 5),
    ] {
        assert_eq!(storage.fold_usage(before, 3).await.unwrap(), folded, "{before}");
        assert_eq!(session.number("SELECT COUNT(*) FROM client_usage_hours").await, hours, "{before}");
        let stored = session.number("SELECT COUNT(*) FROM client_usage_days").await;
        assert!(stored <= days, "{before}: {stored}");
        assert_eq!(issued_by_day(&storage).await, by_day, "{before}");
    }
    let days = storage.usage_by_day("cl_1", TODAY, TODAY).await.unwrap();
    assert_eq!(days[&TODAY].refused["wrong_secret"], 7);
    // A count of an hour whose other counts were already added to their day is added to that day too.
    let late = UsageRows { counts: vec![count("cl_1", TODAY, Outcome::Issued, 100)], ..UsageRows::default() };
    change!(storage, tx => tx.add_usage(&late));
    assert_eq!(issued_by_day(&storage).await[0], 106);
    assert_eq!(storage.fold_usage(TODAY + DAY, 3).await.unwrap(), 1);
    assert_eq!(issued_by_day(&storage).await[0], 106);
}

async fn two_processes_that_fold_count_once(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let other = database.open().await;
    let counts = (0..200).map(|n| count("cl_1", TODAY + n * HOUR, Outcome::Issued, 1)).collect();
    change!(storage, tx => tx.add_usage(&UsageRows { counts, ..UsageRows::default() }));
    let mut left = 200;
    while left > 0 {
        let (one, two) =
            tokio::join!(storage.fold_usage(TODAY + 9 * DAY, 7), other.fold_usage(TODAY + 9 * DAY, 7));
        // If the two transactions deadlock, PostgreSQL ends one of them, which then adds nothing to the days.
        let folded = one.unwrap_or_default() + two.unwrap_or_default();
        assert!(folded > 0);
        left -= folded;
    }
    assert_eq!(issued_by_day(&storage).await, [24, 24, 24, 24, 24, 24, 24, 24, 8]);
}

async fn counts_of_earlier_versions_are_taken_over(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let mut session = database.session().await;
    // Earlier versions counted in both tables. Here some hours of the first day are already deleted, and the second day has all
    // its hours.
    for (table, column, at, times) in [
        ("days", "day", TODAY - 9 * DAY, 50),
        ("days", "day", TODAY, 9),
        ("hours", "hour", TODAY + 23 * HOUR, 4),
        ("days", "day", TODAY + DAY, 3),
        ("hours", "hour", TODAY + DAY, 1),
        ("hours", "hour", TODAY + DAY + 5 * HOUR, 2),
    ] {
        let values = format!("VALUES ('cl_1', {at}, 'issued', {times})");
        let into = format!("client_usage_{table} (client_id, {column}, outcome, times)");
        session.execute(&format!("INSERT INTO {into} {values}")).await;
    }
    let migration = match engine {
        Engine::Sqlite => include_str!("../../../migrations/sqlite/0020_usage_once.sql"),
        Engine::Postgres => include_str!("../../../migrations/postgres/0020_usage_once.sql"),
    };
    for statement in migration.split_inclusive(';').filter(|statement| statement.contains(';')) {
        session.execute(statement).await;
    }
    assert_eq!(issued_by_day(&storage).await, [9, 3]);
    // Only `TODAY - 9 * DAY` is before this time. None of its hours is left, so its count is kept.
    assert_eq!(session.number("SELECT times FROM client_usage_days WHERE day < 1789900000").await, 50);
    assert_eq!(session.number("SELECT COUNT(*) FROM client_usage_days").await, 2);
    while storage.fold_usage(TODAY + 9 * DAY, 2).await.unwrap() > 0 {}
    assert_eq!(issued_by_day(&storage).await, [9, 3]);
}

async fn counts_are_purged_by_hour_and_day(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let counts = (0..10).map(|n| count("cl_1", TODAY + n * 12 * HOUR, Outcome::Issued, 1)).collect();
    let uses = |n: i64| SecretUseRow { secret_id: id("s1"), hour: TODAY + n * 12 * HOUR, times: 1 };
    let secret_uses = (0..10).map(uses).collect();
    change!(storage, tx => tx.add_usage(&UsageRows { counts, secret_uses, ..UsageRows::default() }));
    assert_eq!(storage.fold_usage(TODAY + 9 * DAY, 100).await.unwrap(), 10);
    let mut session = database.session().await;
    for (most, hours, days) in [(3, 7, 4), (3, 4, 4), (2, 2, 4), (0, 2, 4)] {
        // Deletes at most three rows of each table at a time: the eight hours before the fifth day, and the first day. Returns
        // the larger of the numbers of hours and days.
        assert_eq!(storage.purge_usage(TODAY + 4 * DAY, TODAY + DAY, 3).await.unwrap(), most);
        assert_eq!(session.number("SELECT COUNT(*) FROM secret_usage_hours").await, hours);
        assert_eq!(session.number("SELECT COUNT(*) FROM client_usage_days").await, days);
    }
}

async fn a_first_use_is_returned_once(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_secret(&ClientSecret { last_used_at: Some(TODAY - 61), ..secret("old", "cl_1") }));
    change!(storage, tx => tx.insert_secret(&ClientSecret { last_used_at: Some(TODAY), ..secret("new", "cl_1") }));
    let rows = |at: i64, secrets: &[&str], networks: &[&str]| UsageRows {
        sources: secrets.iter().map(|&id| source(id, "192.0.2.1", at)).collect(),
        networks: networks
            .iter()
            .map(|&network| NetworkRow {
                client_id: id("cl_1"),
                network: network.parse().unwrap(),
                last_seen_at: at,
                secret_id: id("s1"),
                source_ip: "192.0.2.1".parse().unwrap(),
            })
            .collect(),
        ..UsageRows::default()
    };
    let first = |secrets: &[&str], networks: &[&str]| FirstSeen {
        secrets: secrets.iter().map(|&id| id.to_owned()).collect(),
        networks: networks.iter().map(|&network| ("cl_1".to_owned(), network.to_owned())).collect(),
    };
    let seen = change!(storage, tx => tx.add_usage(&rows(TODAY, &["s1"], &["192.0.2.0/24"])));
    assert_eq!(seen, first(&["s1"], &["192.0.2.0/24"]));
    // Uses in the same second, in the next one, and out of order are not new.
    for at in [TODAY, TODAY + 1, TODAY - 1] {
        let seen = change!(storage, tx => tx.add_usage(&rows(at, &["s1"], &["192.0.2.0/24"])));
        assert_eq!(seen, FirstSeen::default());
    }
    // `old` was used before sources were stored, so it is not new. The last use of `new` is less than a minute old. It may be
    // the use that is being stored, so `new` is new.
    let seen = change!(storage, tx => tx.add_usage(&rows(TODAY, &["gone", "new", "old"], &["10.0.0.0/24", "192.0.2.0/24"])));
    assert_eq!(seen, first(&["new"], &["10.0.0.0/24"]));
    let uses = storage.uses_of_secrets(&["s1", "new", "old"], TODAY).await.unwrap();
    let known = ["s1", "new", "old"].map(|id| uses[id].first_used_at);
    assert_eq!(known, [Some(TODAY), Some(TODAY), None]);
    // Earlier versions did not store `first_seen_at`.
    database.execute("UPDATE client_networks SET first_seen_at = NULL").await;
    let seen = change!(storage, tx => tx.add_usage(&rows(TODAY + 9, &["s1"], &["192.0.2.0/24"])));
    assert_eq!(seen, FirstSeen::default());
}
