//! [`Outage`]: keeps a verifier that holds many status lists from asking an issuer that is out of reach once for
//! each of them.

use std::sync::{Mutex, PoisonError};

use crate::fetch::Unavailable;
use crate::jwks::COLD_RETRY_SECONDS;

/// For how long one caller may be the only one to try, seconds: as long as a fetch may take, by default.
const PROBE_SECONDS: i64 = 5;

/// Whether the issuer is reached. While it is not, one caller at a time finds out whether it is back, and the others
/// are told at once.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<(Again, Unavailable)>>);

/// When the next one may ask, from and until (Unix seconds, both ends of the wait).
#[derive(Clone, Copy)]
struct Again {
    since: i64,
    at: i64,
}

impl Outage {
    /// Whether a fetch may begin at `now`; if not, what the last one came to.
    pub(crate) fn may_ask(&self, now: i64) -> Result<(), Unavailable> {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((again, why)) = &mut *outage {
            if (again.since..again.at).contains(&now) {
                return Err(why.clone());
            }
            *again = Again { since: now, at: now.saturating_add(PROBE_SECONDS) };
        }
        Ok(())
    }

    /// Notes what came of a fetch that ended at `now`. An answer of the issuer's own, be it a bad one, says that it
    /// is there; a 5xx may be that of a proxy before it.
    pub(crate) fn came_of_it(&self, now: i64, failure: Option<&Unavailable>) {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *outage = match failure {
            Some(
                why @ (Unavailable::Unreachable(_)
                | Unavailable::TimedOut
                | Unavailable::Status { status: 500.., .. }),
            ) => {
                let again = Again { since: now, at: now.saturating_add(COLD_RETRY_SECONDS) };
                Some((again, why.clone()))
            }
            _ => None,
        };
    }
}
