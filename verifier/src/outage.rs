//! [`Outage`]: while the issuer is unreachable, limits the requests for all status lists together. Without it a verifier
//! with many lists would try once a second for each of them.

use std::sync::{Mutex, PoisonError};

use crate::fetch::Unavailable;
use crate::jwks::COLD_RETRY_SECONDS;

/// How long one caller may try while the others get the last error, seconds: the default time limit of a fetch.
const PROBE_SECONDS: i64 = 5;

/// `Some` while the issuer is unreachable. Then one caller at a time tries again, and the others get the last error
/// without waiting.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<(Pause, Unavailable)>>);

/// From when until when no further fetch may start, Unix seconds. It has a start so that a clock that is set back ends the
/// pause.
#[derive(Clone, Copy)]
struct Pause {
    from: i64,
    until: i64,
}

impl Outage {
    /// Whether a fetch may start at `now`; otherwise the error of the last one.
    pub(crate) fn may_fetch(&self, now: i64) -> Result<(), Unavailable> {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((pause, why)) = &mut *outage {
            if (pause.from..pause.until).contains(&now) {
                return Err(why.clone());
            }
            *pause = Pause { from: now, until: now.saturating_add(PROBE_SECONDS) };
        }
        Ok(())
    }

    /// Records the result of a fetch that ended at `now`. Any answer below 500 shows that the issuer is reachable; a
    /// 5xx may come from a proxy in front of it.
    pub(crate) fn record(&self, now: i64, failure: Option<&Unavailable>) {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *outage = match failure {
            Some(
                why @ (Unavailable::Unreachable(_)
                | Unavailable::TimedOut
                | Unavailable::Status { status: 500.., .. }),
            ) => {
                let pause = Pause { from: now, until: now.saturating_add(COLD_RETRY_SECONDS) };
                Some((pause, why.clone()))
            }
            _ => None,
        };
    }
}
