//! Values that many cached clients share, stored once: most clients of a workspace have the same products.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// How many values are held before unused ones are dropped for the first time.
const FIRST_SWEEP: usize = 64;

/// The values in use.
#[derive(Debug)]
pub(super) struct Shared<T: ?Sized>(Mutex<Held<T>>);

#[derive(Debug)]
struct Held<T: ?Sized> {
    values: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(Held { values: HashSet::new(), sweep_at: FIRST_SWEEP }))
    }
}

impl<T: Eq + Hash + ?Sized> Shared<T> {
    /// The shared copy of `value`. A copy that is no longer used is dropped by a later call.
    pub(super) fn share<V: Borrow<T> + Into<Arc<T>>>(&self, value: V) -> Arc<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.values.get(value.borrow()) {
            return Arc::clone(known);
        }
        if held.values.len() >= held.sweep_at {
            held.values.retain(|value| Arc::strong_count(value) > 1);
            // Twice the number in use, so that the cost of sweeping per new value does not grow with the number of values.
            held.sweep_at = FIRST_SWEEP.max(held.values.len() * 2);
        }
        let value: Arc<T> = value.into();
        held.values.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_one_copy() {
        let shared = Shared::<str>::default();
        let (first, second) = (shared.share("acme".to_owned()), shared.share("acme".to_owned()));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &shared.share("other".to_owned())));
    }

    #[test]
    fn values_that_are_no_longer_used_are_dropped() {
        let shared = Shared::<str>::default();
        let kept = shared.share("kept".to_owned());
        for number in 0..10 * FIRST_SWEEP {
            shared.share(number.to_string());
        }
        assert!(shared.0.lock().unwrap().values.len() <= FIRST_SWEEP);
        assert!(Arc::ptr_eq(&kept, &shared.share("kept".to_owned())));
    }
}
