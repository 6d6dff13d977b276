//! What this process has counted and not stored yet.
//!
//! Its size is bounded by the clients and secrets there are: names of clients that were not found are counted only up to
//! [`UNSURE_MAX`], and refused requests are [`Recent`] ones.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::counter::{Counter, Hour, hour_of, start_of};
use super::recent::Recent;
use crate::model::clock::UnixSeconds;
use crate::model::refusal::{Failure, Refusal};
use crate::model::usage::{Outcome, network_of};
use crate::storage::{CountRow, NetworkRow, SecretUseRow, SourceRow, UsageRows};

/// How many names of clients that may not exist are counted between two flushes.
const UNSURE_MAX: usize = 1_000;

/// How many networks of a client are noted between two flushes.
const NETWORKS_MAX: usize = 100;

/// The counters of one client or secret, and what was counted in hours before the present one.
#[derive(Debug, Default)]
struct Slot {
    counters: Vec<Counter>,
    before: Vec<(Hour, i64)>,
}

impl Slot {
    /// Takes up a counter that was not of this hour.
    fn open(&mut self, counter: &Counter, hour: Hour) {
        let (was, times) = counter.turn(hour);
        if was == 0 {
            self.counters.push(counter.clone());
            self.add(hour, times);
        } else {
            // One of them is the use that found the hour over.
            self.add(was, (times - 1).max(0));
            self.add(hour, times.min(1));
        }
    }

    fn add(&mut self, hour: Hour, times: i64) {
        match self.before.iter_mut().find(|(known, _)| *known == hour) {
            Some((_, before)) => *before += times,
            None => self.before.push((hour, times)),
        }
    }

    /// Takes what was counted, by hour. The counters are no longer taken up.
    fn take(mut self, now: Hour) -> Vec<(Hour, i64)> {
        for counter in std::mem::take(&mut self.counters) {
            let (hour, times) = counter.turn(0);
            self.add(if hour == 0 { now } else { hour }, times);
        }
        self.before.retain(|(_, times)| *times > 0);
        self.before
    }
}

/// What is not stored yet.
#[derive(Debug)]
pub(super) struct Pending {
    issued: HashMap<Arc<str>, Slot>,
    secret_uses: HashMap<Arc<str>, Slot>,
    sources: HashMap<Arc<str>, (IpAddr, UnixSeconds)>,
    networks: HashMap<Arc<str>, HashMap<String, UnixSeconds>>,
    refused: HashMap<String, HashMap<(Hour, Refusal), i64>>,
    /// Those in `refused` that were not found.
    unsure: HashSet<String>,
    of_clients: Recent,
    of_others: Recent,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            issued: HashMap::new(),
            secret_uses: HashMap::new(),
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
    /// Takes up the counter of a client's tokens.
    pub(super) fn open_issued(&mut self, counter: &Counter, client_id: &Arc<str>, hour: Hour) {
        self.issued.entry(Arc::clone(client_id)).or_default().open(counter, hour);
    }

    /// Takes up the counter of a secret's uses.
    pub(super) fn open_secret(&mut self, counter: &Counter, secret_id: &Arc<str>, hour: Hour) {
        self.secret_uses.entry(Arc::clone(secret_id)).or_default().open(counter, hour);
    }

    /// Notes where a secret, and so its client, was used from.
    pub(super) fn seen(
        &mut self,
        client_id: &Arc<str>,
        secret_id: &Arc<str>,
        source: IpAddr,
        now: UnixSeconds,
    ) {
        self.sources.insert(Arc::clone(secret_id), (source, now));
        self.seen_in(Arc::clone(client_id), network_of(source).to_string(), now);
    }

    fn seen_in(&mut self, client_id: Arc<str>, network: String, now: UnixSeconds) {
        let networks = self.networks.entry(client_id).or_default();
        if networks.len() < NETWORKS_MAX || networks.contains_key(&network) {
            let last = networks.entry(network).or_default();
            *last = now.max(*last);
        }
    }

    /// Counts a refused request and adds it to the recent ones.
    pub(super) fn refused(&mut self, failure: Failure) {
        if let Some(client_id) = &failure.client_id
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

    fn is_counted(&mut self, client_id: &str, reason: Refusal) -> bool {
        if reason.is_of_known_client() || self.refused.contains_key(client_id) {
            return true;
        }
        self.unsure.len() < UNSURE_MAX && self.unsure.insert(client_id.to_owned())
    }

    fn add_refusals(&mut self, client_id: &str, hour: Hour, reason: Refusal, times: i64) {
        if !self.refused.contains_key(client_id) {
            self.refused.insert(client_id.to_owned(), HashMap::new());
        }
        if let Some(of_client) = self.refused.get_mut(client_id) {
            *of_client.entry((hour, reason)).or_default() += times;
        }
    }

    /// Where a secret was last used from, and how often from `since` on, as far as that is not stored yet.
    pub(super) fn of_secret(&self, secret_id: &str, since: UnixSeconds) -> (Option<IpAddr>, i64) {
        let source = self.sources.get(secret_id).map(|(source, _)| *source);
        let Some(slot) = self.secret_uses.get(secret_id) else { return (source, 0) };
        let before = slot.before.iter().copied();
        let counted = before.chain(slot.counters.iter().map(Counter::counted));
        (source, counted.filter(|(hour, _)| start_of(*hour) >= since).map(|(_, times)| times).sum())
    }

    /// All of it, as rows. Counters that requests still add to are taken up again by the next of them.
    pub(super) fn into_rows(self, now: UnixSeconds) -> UsageRows {
        let now = hour_of(now);
        let Self { issued, secret_uses, sources, networks, refused, mut of_clients, mut of_others, .. } =
            self;
        let mut rows = UsageRows::default();
        for (client_id, slot) in issued {
            rows.counts.extend(slot.take(now).into_iter().map(|(hour, times)| CountRow {
                client_id: client_id.to_string(),
                hour: start_of(hour),
                outcome: Outcome::Issued,
                times,
            }));
        }
        for (client_id, of_client) in refused {
            rows.counts.extend(of_client.into_iter().map(|((hour, reason), times)| CountRow {
                client_id: client_id.clone(),
                hour: start_of(hour),
                outcome: Outcome::Refused(reason),
                times,
            }));
        }
        for (secret_id, slot) in secret_uses {
            rows.secret_uses.extend(slot.take(now).into_iter().map(|(hour, times)| SecretUseRow {
                secret_id: secret_id.to_string(),
                hour: start_of(hour),
                times,
            }));
        }
        rows.sources.extend(sources.into_iter().map(|(secret_id, (source, used_at))| SourceRow {
            secret_id: secret_id.to_string(),
            source_ip: source.to_string(),
            used_at,
        }));
        for (client_id, of_client) in networks {
            rows.networks.extend(of_client.into_iter().map(|(network, last_seen_at)| NetworkRow {
                client_id: client_id.to_string(),
                network,
                last_seen_at,
            }));
        }
        rows.failures = of_others.take();
        rows.failures.extend(of_clients.take());
        rows
    }

    /// Puts back what could not be stored.
    pub(super) fn put_back(&mut self, rows: UsageRows) {
        for row in rows.counts {
            let hour = hour_of(row.hour);
            match row.outcome {
                Outcome::Issued => {
                    self.issued.entry(row.client_id.into()).or_default().add(hour, row.times);
                }
                Outcome::Refused(reason) if self.is_counted(&row.client_id, reason) => {
                    self.add_refusals(&row.client_id, hour, reason, row.times);
                }
                Outcome::Refused(_) => {}
            }
        }
        for row in rows.secret_uses {
            self.secret_uses.entry(row.secret_id.into()).or_default().add(hour_of(row.hour), row.times);
        }
        for row in rows.sources {
            if let Ok(source) = row.source_ip.parse() {
                self.sources.entry(row.secret_id.into()).or_insert((source, row.used_at));
            }
        }
        for row in rows.networks {
            self.seen_in(row.client_id.into(), row.network, row.last_seen_at);
        }
        // Before those that came meanwhile.
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
