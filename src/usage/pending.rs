//! What this process has counted and not stored yet.
//!
//! Its size is bounded by the number of clients and secrets that exist: of clients that may not exist, only [`UNSURE_MAX`] are
//! counted, and of refused requests, only the [`Recent`] ones are kept.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use ipnet::IpNet;

use super::recent::Recent;
use super::tally::{Count, Hour, Tallied, Tally, hour_of, start_of};
use crate::model::clock::UnixSeconds;
use crate::model::inline_id::{ClientId, SecretId};
use crate::model::refusal::{Failure, Refusal};
use crate::model::usage::{Outcome, network_of};
use crate::storage::{CountRow, NetworkRow, SecretUseRow, SourceRow, UsageRows};

/// How many ids of clients that may not exist are counted between two flushes.
const UNSURE_MAX: usize = 1_000;

/// How many networks of a client are noted between two flushes.
const NETWORKS_MAX: usize = 100;

/// What was counted of clients or of secrets. An id may occur more than once, with two tallies or with two hours.
#[derive(Debug)]
struct Counted<Id> {
    /// Which count of a tally this is.
    count: fn(&Tally) -> &Count,
    /// The tallies to which requests add now.
    tallies: Vec<(Id, Arc<dyn Tallied>)>,
    /// What was counted before, and is no longer in a tally.
    before: Vec<(Id, Hour, i64)>,
}

impl<Id: Copy + Ord + Deref<Target = str>> Counted<Id> {
    fn new(count: fn(&Tally) -> &Count) -> Self {
        Self { count, tallies: Vec::new(), before: Vec::new() }
    }

    /// Takes over a tally whose count was not of `hour` when a request added to it. From now on it counts in `hour`.
    fn open(&mut self, id: Id, tallied: Arc<dyn Tallied>, hour: Hour) {
        let count = (self.count)(tallied.tally());
        if count.begin(hour) {
            self.tallies.push((id, tallied));
            return;
        }
        let (was, times) = count.turn(hour);
        // The last of these is the use that found that a new hour has begun, so it counts in the new one.
        self.before.push((id, was, (times - 1).max(0)));
        self.before.push((id, hour, times.min(1)));
    }

    /// Takes what was counted, sorted by id and hour. The tallies are left: the next request that adds to one hands it over
    /// again.
    fn take(self, now: Hour) -> Vec<(Id, Hour, i64)> {
        let mut counted = self.before;
        counted.extend(self.tallies.into_iter().map(|(id, tallied)| {
            let (hour, times) = (self.count)(tallied.tally()).turn(0);
            (id, if hour == 0 { now } else { hour }, times)
        }));
        counted.retain(|(_, _, times)| *times > 0);
        counted.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        counted.dedup_by(|later, first| {
            let same = (&later.0, later.1) == (&first.0, first.1);
            first.2 += if same { later.2 } else { 0 };
            same
        });
        counted
    }

    /// How often each of these ids was counted from `since` on.
    fn of(&self, ids: &HashSet<&str>, since: UnixSeconds) -> HashMap<&str, i64> {
        let tallies = self.tallies.iter().filter(|(id, _)| ids.contains(&**id));
        let now = tallies.map(|(id, tallied)| (id, (self.count)(tallied.tally()).counted()));
        let before = self.before.iter().filter(|(id, _, _)| ids.contains(&**id));
        let mut times: HashMap<&str, i64> = HashMap::new();
        for (id, (hour, counted)) in now.chain(before.map(|(id, hour, counted)| (id, (*hour, *counted)))) {
            if start_of(hour) >= since {
                *times.entry(id).or_default() += counted;
            }
        }
        times
    }
}

/// Where a secret was last used from.
#[derive(Debug, Clone)]
struct Source {
    client_id: ClientId,
    address: IpAddr,
    at: UnixSeconds,
}

/// The last time that a client was seen in a network.
#[derive(Debug, Clone)]
struct Seen {
    at: UnixSeconds,
    secret_id: SecretId,
    source: IpAddr,
}

/// What is not stored yet.
#[derive(Debug)]
pub(super) struct Pending {
    issued: Counted<ClientId>,
    secret_uses: Counted<SecretId>,
    /// By secret.
    sources: HashMap<SecretId, Source>,
    networks: HashMap<ClientId, Vec<(IpNet, Seen)>>,
    refused: HashMap<ClientId, HashMap<(Hour, Refusal), i64>>,
    /// Clients in `refused` that may not exist.
    unsure: HashSet<ClientId>,
    /// Refused requests of clients that exist; as many of one client as are kept in the database.
    of_clients: Recent,
    /// Other refused requests. Many may name no client, so only the limit in all applies.
    of_others: Recent,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            issued: Counted::new(Tally::tokens),
            secret_uses: Counted::new(Tally::uses),
            sources: HashMap::new(),
            networks: HashMap::new(),
            refused: HashMap::new(),
            unsure: HashSet::new(),
            of_clients: Recent::with_of_one_client(100),
            of_others: Recent::with_of_one_client(1_000),
        }
    }
}

impl Pending {
    /// Takes over the count of a client's tokens.
    pub(super) fn open_issued(&mut self, client: Arc<dyn Tallied>, client_id: ClientId, hour: Hour) {
        self.issued.open(client_id, client, hour);
    }

    /// Takes over the count of a secret's uses.
    pub(super) fn open_secret(&mut self, secret: Arc<dyn Tallied>, secret_id: SecretId, hour: Hour) {
        self.secret_uses.open(secret_id, secret, hour);
    }

    /// Notes where a secret, and so its client, was used from.
    pub(super) fn seen(
        &mut self,
        client_id: ClientId,
        secret_id: SecretId,
        source: IpAddr,
        now: UnixSeconds,
    ) {
        self.sources.insert(secret_id, Source { client_id, address: source, at: now });
        self.seen_in(client_id, network_of(source), Seen { at: now, secret_id, source });
    }

    fn seen_in(&mut self, client_id: ClientId, network: IpNet, seen: Seen) {
        let networks = self.networks.entry(client_id).or_default();
        let is_full = networks.len() >= NETWORKS_MAX;
        match networks.iter_mut().find(|(known, _)| *known == network) {
            Some((_, last)) if last.at < seen.at => *last = seen,
            Some(_) => {}
            None if is_full => {}
            None => networks.push((network, seen)),
        }
    }

    /// Counts a refused request and adds it to the recent ones.
    pub(super) fn refused(&mut self, failure: Failure) {
        if let Some(client_id) = failure.client_id.as_deref().and_then(ClientId::new)
            && failure.reason != Refusal::UnknownClient
            && self.is_counted(client_id, failure.reason)
        {
            self.add_refusals(client_id, hour_of(failure.at), failure.reason, 1);
        }
        if failure.reason.is_of_known_client() {
            self.of_clients.add(failure);
        } else {
            self.of_others.add(failure);
        }
    }

    fn is_counted(&mut self, client_id: ClientId, reason: Refusal) -> bool {
        if reason.is_of_known_client() || self.refused.contains_key(&client_id) {
            return true;
        }
        self.unsure.len() < UNSURE_MAX && self.unsure.insert(client_id)
    }

    fn add_refusals(&mut self, client_id: ClientId, hour: Hour, reason: Refusal, times: i64) {
        *self.refused.entry(client_id).or_default().entry((hour, reason)).or_default() += times;
    }

    /// Where each of these secrets was last used from, and how often from `since` on, as far as that is not stored yet.
    pub(super) fn of_secrets<'a>(
        &'a self,
        secret_ids: &HashSet<&str>,
        since: UnixSeconds,
    ) -> impl Fn(&str) -> (Option<IpAddr>, i64) + use<'a> {
        let times = self.secret_uses.of(secret_ids, since);
        move |secret_id| {
            let last = SecretId::new(secret_id).and_then(|secret_id| self.sources.get(&secret_id));
            (last.map(|last| last.address), times.get(secret_id).copied().unwrap_or_default())
        }
    }

    /// Everything as rows. The next request that adds to a tally hands it over to the next `Pending`.
    pub(super) fn into_rows(self, now: UnixSeconds) -> UsageRows {
        let now = hour_of(now);
        let Self { issued, secret_uses, sources, networks, refused, mut of_clients, mut of_others, .. } =
            self;
        let counts = issued.take(now).into_iter().map(|(client_id, hour, times)| CountRow {
            client_id,
            hour: start_of(hour),
            outcome: Outcome::Issued,
            times,
        });
        let uses = secret_uses.take(now).into_iter();
        let uses =
            uses.map(|(secret_id, hour, times)| SecretUseRow { secret_id, hour: start_of(hour), times });
        let mut rows = UsageRows {
            counts: counts.collect(),
            secret_uses: uses.collect(),
            failures: of_others.take(),
            ..UsageRows::default()
        };
        for (client_id, of_client) in refused {
            rows.counts.extend(of_client.into_iter().map(|((hour, reason), times)| CountRow {
                client_id,
                hour: start_of(hour),
                outcome: Outcome::Refused(reason),
                times,
            }));
        }
        rows.sources.extend(sources.into_iter().map(|(secret_id, last)| SourceRow {
            client_id: last.client_id,
            secret_id,
            source_ip: last.address,
            used_at: last.at,
        }));
        for (client_id, of_client) in networks {
            rows.networks.extend(of_client.into_iter().map(|(network, seen)| NetworkRow {
                client_id,
                network,
                last_seen_at: seen.at,
                secret_id: seen.secret_id,
                source_ip: seen.source,
            }));
        }
        rows.failures.extend(of_clients.take());
        rows
    }

    /// Puts back what could not be stored.
    pub(super) fn put_back(&mut self, rows: UsageRows) {
        for row in rows.counts {
            let hour = hour_of(row.hour);
            match row.outcome {
                Outcome::Issued => {
                    self.issued.before.push((row.client_id, hour, row.times));
                }
                Outcome::Refused(reason) if self.is_counted(row.client_id, reason) => {
                    self.add_refusals(row.client_id, hour, reason, row.times);
                }
                Outcome::Refused(_) => {}
            }
        }
        for row in rows.secret_uses {
            self.secret_uses.before.push((row.secret_id, hour_of(row.hour), row.times));
        }
        for row in rows.sources {
            let last = Source { client_id: row.client_id, address: row.source_ip, at: row.used_at };
            self.sources.entry(row.secret_id).or_insert(last);
        }
        for row in rows.networks {
            let seen = Seen { at: row.last_seen_at, secret_id: row.secret_id, source: row.source_ip };
            self.seen_in(row.client_id, row.network, seen);
        }
        // These failures are older than those that were added meanwhile, and `Recent` has the oldest first.
        let mut later = self.of_others.take();
        later.extend(self.of_clients.take());
        for failure in rows.failures.into_iter().chain(later) {
            if failure.reason.is_of_known_client() {
                self.of_clients.add(failure);
            } else {
                self.of_others.add(failure);
            }
        }
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
