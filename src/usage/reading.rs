//! What clients did, as administrators see it.

use std::collections::{HashMap, HashSet};

use super::Usage;
use super::clean_up::DAYS_KEPT;
use super::tally::{hour_of, start_of};
use crate::kernel::{Error, Reader};
use crate::model::client::ClientRecord;
use crate::model::clock::UnixSeconds;
use crate::model::secret::ClientSecret;
use crate::model::usage::{DAY, DayUsage, SeenFrom};

/// How many days are shown if the request has no `since`.
const DAYS_SHOWN: i64 = 30;

/// A period of whole days, which includes the days of both instants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// From the day of this instant; `None` for thirty days that end with `until`.
    pub since: Option<UnixSeconds>,
    /// To the day of this instant; `None` for today.
    pub until: Option<UnixSeconds>,
}

/// What a client did, day by day, and where it was seen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientUsage {
    /// Every day of the period, oldest first, also those without a request.
    pub days: Vec<DayUsage>,
    /// The networks from which the client authenticated, the most recent first.
    pub seen_from: Vec<SeenFrom>,
}

impl Usage {
    /// What a client within reach did, day by day.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn usage(
        &self,
        caller: &Reader,
        client_id: &str,
        period: Period,
    ) -> Result<ClientUsage, Error> {
        self.must_be_within_reach(caller, client_id).await?;
        self.flush_to_look().await;
        let (first, last) = self.days_of(period);
        let mut counted = self.kernel.storage.usage_by_day(client_id, first, last).await?;
        let mut days = Vec::new();
        let mut day = first;
        while day <= last {
            days.push(counted.remove(&day).unwrap_or(DayUsage { day, ..DayUsage::default() }));
            day += DAY;
        }
        let seen_from = self.kernel.storage.networks_of_client(client_id).await?;
        Ok(ClientUsage { days, seen_from })
    }

    /// The first and the last day of a period, as far as counts are kept.
    fn days_of(&self, period: Period) -> (UnixSeconds, UnixSeconds) {
        let day = |at: UnixSeconds| at - at.rem_euclid(DAY);
        let today = day(self.kernel.clock.now());
        let last = period.until.map_or(today, day).min(today);
        let first = period.since.map_or(last - (DAYS_SHOWN - 1) * DAY, day);
        (first.max(today - DAYS_KEPT), last)
    }

    /// How often each of these clients was refused in the last 24 hours (by whole hours), as far as the clients are within
    /// reach. Clients that were not refused are left out, and requests of the last seconds may be missing. This is one
    /// statement for any number of clients.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn refusals_in_24_hours(
        &self,
        caller: &Reader,
        client_ids: &[&str],
    ) -> Result<HashMap<String, i64>, Error> {
        let since = self.day_ago();
        Ok(self.kernel.storage.refusals_of_clients(&caller.reach, client_ids, since).await?)
    }

    /// Adds to the secrets of clients how they were used.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) async fn add_secret_uses(&self, records: &mut [ClientRecord]) -> Result<(), Error> {
        let ids: HashSet<&str> = records.iter().flat_map(secret_ids).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let since = self.day_ago();
        let listed: Vec<&str> = ids.iter().copied().collect();
        let mut uses = self.kernel.storage.uses_of_secrets(&listed, since).await?;
        let pending = self.pending();
        let unstored = pending.of_secrets(&ids, since);
        for secret in records.iter_mut().flat_map(|record| &mut record.secrets) {
            let stored = uses.remove(&secret.secret_id).unwrap_or_default();
            let (source, times) = unstored(&secret.secret_id);
            secret.last_used_from =
                source.map(|source| source.to_string()).or_else(|| stored.source_ip.clone());
            // While no use is stored, the last use counts as the first.
            let first = stored.source_ip.is_none().then_some(secret.last_used_at).flatten();
            secret.first_used_at = stored.first_used_at.or(first.filter(|_| source.is_some()));
            secret.used_last_24h = stored.times + times;
        }
        Ok(())
    }

    /// The start of the first hour that is at least partly within the last 24 hours.
    fn day_ago(&self) -> UnixSeconds {
        start_of(hour_of(self.kernel.clock.now() - DAY))
    }
}

fn secret_ids(record: &ClientRecord) -> impl Iterator<Item = &str> {
    record.secrets.iter().map(|secret: &ClientSecret| secret.secret_id.as_str())
}
