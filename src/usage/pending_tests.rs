//! Tests of counting, of putting back, and of the bounds of what is kept.

use super::*;
use crate::model::refusal::Endpoint;

const NOW: UnixSeconds = 1_790_000_000;

fn refused(client_id: &str, reason: Refusal, number: usize) -> Failure {
    Failure {
        failure_id: format!("{number:08}"),
        client_id: Some(client_id.to_owned()),
        workspace_id: None,
        at: NOW,
        endpoint: Endpoint::Token,
        reason,
        detail: None,
        source_ip: None,
        secret_last_four: None,
        request_id: "id".to_owned(),
    }
}

fn count(rows: &UsageRows) -> Vec<(&str, i64, &str, i64)> {
    let row = |row: &CountRow| (row.hour, row.outcome.as_str(), row.times);
    let mut counts: Vec<_> = rows
        .counts
        .iter()
        .map(|counted| {
            let (hour, outcome, times) = row(counted);
            (&*counted.client_id, hour, outcome, times)
        })
        .collect();
    counts.sort_unstable();
    counts
}

#[test]
fn counts_that_are_put_back_are_neither_lost_nor_counted_twice() {
    let (mut pending, id) = (Pending::default(), ClientId::new("a").unwrap());
    // As when the client was read from the database again, while requests still use the old record.
    let (old, new) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let (hour, begins) = (hour_of(NOW), start_of(hour_of(NOW)));
    let add = |pending: &mut Pending, tally: &Arc<Tally>, hour| {
        if !tally.tokens().add(hour) {
            pending.open_issued(Arc::<Tally>::clone(tally), id, hour);
        }
    };
    for tally in [&old, &old, &new, &old] {
        add(&mut pending, tally, hour);
    }
    add(&mut pending, &old, hour + 1);
    add(&mut pending, &old, hour + 1);
    let rows = std::mem::take(&mut pending).into_rows(NOW);
    assert_eq!(count(&rows), [("a", begins, "issued", 4), ("a", begins + 3_600, "issued", 2)]);
    assert!(std::mem::take(&mut pending).into_rows(NOW).is_empty());
    add(&mut pending, &old, hour + 1);
    pending.put_back(rows);
    let rows = std::mem::take(&mut pending).into_rows(NOW);
    assert_eq!(count(&rows), [("a", begins, "issued", 4), ("a", begins + 3_600, "issued", 3)]);
}

#[test]
fn a_flood_of_made_up_client_ids_takes_bounded_memory() {
    let mut pending = Pending::default();
    for number in 0..10_000 {
        pending.refused(refused(&format!("cl_{number}"), Refusal::MalformedRequest, number));
        pending.refused(refused(&format!("cl_s{number}"), Refusal::NotAClientSecret, number));
        pending.refused(refused("cl_known", Refusal::WrongSecret, number));
        pending.refused(refused(&format!("cl_u{number}"), Refusal::UnknownClient, number));
    }
    for _ in 0..3 {
        let rows = std::mem::take(&mut pending).into_rows(NOW);
        // `Recent` keeps 1,000 of those without a known client, and 100 of the one known client.
        assert_eq!(rows.failures.len(), 1_000 + 100);
        assert_eq!(rows.counts.len(), UNSURE_MAX + 1);
        let known = rows.counts.iter().find(|row| &*row.client_id == "cl_known").unwrap();
        assert_eq!(known.times, 10_000);
        // As if the database did not answer.
        pending.put_back(rows);
        pending.refused(refused("cl_one_more", Refusal::MalformedRequest, 10_000));
    }
}

#[test]
fn the_last_source_and_the_last_time_in_each_network_are_kept() {
    let (mut pending, client, secret) =
        (Pending::default(), ClientId::new("c").unwrap(), SecretId::new("s").unwrap());
    let at = |n: u8| IpAddr::from([10, n, 0, 1]);
    for n in 0..=200 {
        pending.seen(client, secret, at(n), NOW + i64::from(n));
    }
    assert_eq!(pending.of_secrets(&HashSet::from(["s"]), NOW)("s"), (Some(at(200)), 0));
    let rows = std::mem::take(&mut pending).into_rows(NOW);
    assert_eq!((rows.networks.len(), rows.sources.len()), (NETWORKS_MAX, 1));
    pending.seen(client, secret, at(7), NOW + 300);
    pending.put_back(rows);
    let rows = pending.into_rows(NOW);
    assert_eq!(rows.sources[0].source_ip, at(7));
    assert_eq!(
        rows.networks.iter().find(|row| row.network.to_string() == "10.7.0.0/24").unwrap().last_seen_at,
        NOW + 300
    );
}
