//! How API clients are used: how often each got a token and was refused, where it was seen from, and why its last requests
//! were refused. For administrators, by the management API, the command line and the console.
//!
//! A token request is counted in memory (`Tally`, and `Pending` for refusals and sources) and writes nothing. Counts are stored
//! every few seconds, when somebody looks, and on an orderly stop; a crash loses at most what came since.

mod clean_up;
mod dto;
mod first_use;
mod flush;
mod pending;
mod reading;
mod recent;
mod refusing;
mod tally;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::model::clock::UnixSeconds;
use crate::model::inline_id::{ClientId, SecretId};

pub use reading::{ClientUsage, Period};
pub use refusing::Refused;
pub(crate) use tally::{Tallied, Tally};

use pending::Pending;
use tally::hour_of;

/// How errors name an API client.
const API_CLIENT: &str = "API client";

/// Counts what clients do, and shows administrators the counts.
#[derive(Debug)]
pub struct Usage {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    pending: Mutex<Pending>,
    /// Held while counts are stored, so that a second flush returns only when the counts of the first are stored too.
    storing: tokio::sync::Mutex<()>,
}

impl Usage {
    pub(crate) fn new(kernel: Arc<Kernel>, ledger: Arc<Ledger>) -> Self {
        Self { kernel, ledger, pending: Mutex::default(), storing: tokio::sync::Mutex::default() }
    }

    /// Counts a token that a client got. Takes a lock only for the first token in an hour and the first after each store.
    pub(crate) fn issued<T: Tallied + 'static>(
        &self,
        client: &Arc<T>,
        client_id: ClientId,
        now: UnixSeconds,
    ) {
        let hour = hour_of(now);
        if !client.tally().tokens().add(hour) {
            self.pending().open_issued(Arc::<T>::clone(client), client_id, hour);
        }
    }

    /// Counts a use of a client's secret, and where it came from. Takes a lock only for the first use in an hour, the first
    /// after each store, and when the source is not the last one or was last noted five minutes ago.
    pub(crate) fn secret_used<T: Tallied + 'static>(
        &self,
        secret: &Arc<T>,
        client_id: ClientId,
        secret_id: SecretId,
        source: Option<IpAddr>,
        now: UnixSeconds,
    ) {
        let (tally, hour) = (secret.tally(), hour_of(now));
        if !tally.uses().add(hour) {
            self.pending().open_secret(Arc::<T>::clone(secret), secret_id, hour);
        }
        if let Some(source) = source
            && !tally.was_seen_from(source, now)
        {
            tally.seen_from(source, now);
            self.pending().seen(client_id, secret_id, source.to_canonical(), now);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
