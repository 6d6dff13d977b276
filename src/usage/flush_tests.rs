//! Tests of what is stored in one transaction.

use super::*;
use crate::model::inline_id::SecretId;
use crate::storage::{NetworkRow, SourceRow};

fn source(client: usize, secret: usize) -> SourceRow {
    SourceRow {
        client_id: ClientId::new(&format!("cl_{client:04}")).unwrap(),
        // The ids of the secrets are not in the order of the ids of their clients.
        secret_id: SecretId::new(&format!("s{:04}-{secret}", 9_999 - client)).unwrap(),
        source_ip: [192, 0, 2, 1].into(),
        used_at: 0,
    }
}

fn network(client: usize, number: usize) -> NetworkRow {
    NetworkRow {
        client_id: ClientId::new(&format!("cl_{client:04}")).unwrap(),
        network: format!("10.0.{number}.0/24").parse().unwrap(),
        last_seen_at: 0,
        secret_id: SecretId::new(&format!("s{:04}-0", 9_999 - client)).unwrap(),
        source_ip: [192, 0, 2, 1].into(),
    }
}

#[test]
fn a_batch_has_all_sources_and_networks_of_a_client_or_none() {
    let (mut sources, mut networks) = (Vec::new(), Vec::new());
    for client in (0..100).rev() {
        sources.extend((0..=client % 3).map(|secret| source(client, secret)));
        networks.extend((0..=client % 7).map(|number| network(client, number)));
    }
    let all = (sources.len(), networks.len());
    let mut rows = sorted(UsageRows { sources, networks, ..UsageRows::default() });
    let (mut seen, mut stored) = (Vec::new(), (0, 0));
    while !rows.is_empty() {
        let batch = next_batch(&mut rows, 10);
        // Ten, and up to six more of the last client; fewer at the end.
        assert!((1..=16).contains(&batch.networks.len()), "{} networks", batch.networks.len());
        let mut of_sources: Vec<_> = batch.sources.iter().map(|row| row.client_id).collect();
        let mut of_networks: Vec<_> = batch.networks.iter().map(|row| row.client_id).collect();
        of_sources.dedup();
        of_networks.dedup();
        assert_eq!(of_sources, of_networks);
        stored = (stored.0 + batch.sources.len(), stored.1 + batch.networks.len());
        seen.extend(of_sources);
    }
    assert_eq!((seen.len(), stored), (100, all));
    assert!(seen.is_sorted());
}

#[test]
fn batches_end_when_only_some_kinds_have_rows() {
    let networks = (0..25).map(|number| network(7, number)).collect();
    let mut rows = UsageRows { networks, ..UsageRows::default() };
    // All networks of one client, although they are more than a batch.
    assert_eq!(next_batch(&mut rows, 10).networks.len(), 25);
    assert!(rows.is_empty());
    let sources = (0..25).map(|client| source(client, 0)).collect();
    let mut rows = sorted(UsageRows { sources, ..UsageRows::default() });
    let sizes: Vec<usize> = (0..4).map(|_| next_batch(&mut rows, 10).sources.len()).collect();
    assert_eq!(sizes, [10, 10, 5, 0]);
}
