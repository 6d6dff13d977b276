//! The clock of the rate limiters.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference as _};
use governor::nanos::Nanos;

use crate::model::clock::Clock;

/// Our clock, in the form that `governor` needs. Its time is monotonic: when the machine's clock is set, a limit neither ends
/// early nor lasts longer.
#[derive(Debug, Clone)]
pub(crate) struct Ticks(Arc<dyn Clock>);

impl Ticks {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    /// How many whole seconds to wait so that `instant` has certainly passed; at least 1. For `Retry-After`.
    pub(crate) fn seconds_until(&self, instant: Nanos) -> u32 {
        let wait = Duration::from(instant.duration_since(self.now()));
        u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX)
    }
}

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.monotonic_millis()).unwrap_or(0);
        Nanos::from(Duration::from_millis(millis))
    }
}
