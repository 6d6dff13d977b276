//! The timer of a stream. It is not set for each request but about once every `pace`: when it fires, the stream compares its
//! deadlines with the current time. It is set to an earlier time only if a deadline comes before it fires.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    pace: Duration,
    waker: Option<Waker>,
    /// The last `other` of [`Alarm::has_passed`] that had passed.
    other_passed: Option<Instant>,
}

impl Alarm {
    /// Fires at the latest every `pace`. Few timers are set if no usual time limit is shorter than `pace`.
    pub(super) fn new(pace: Duration) -> Self {
        Self { sleep: Box::pin(sleep(pace)), pace, waker: None, other_passed: None }
    }

    /// Whether `deadline` has passed. If not, the task is woken at `deadline` or at `other`, whichever comes first, or earlier.
    /// For an `other` that has passed the task is woken only once, since it may never ask about that deadline again.
    pub(super) fn has_passed(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        other: Option<Instant>,
    ) -> bool {
        let other = other.filter(|other| self.other_passed != Some(*other));
        let next = deadline.into_iter().chain(other).min();
        let rings_in_time = next.is_none_or(|next| self.sleep.deadline() <= next);
        let wakes_this_task = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if wakes_this_task && rings_in_time && !self.sleep.is_elapsed() {
            return false;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return true;
        }
        self.other_passed = other.filter(|other| *other <= now).or(self.other_passed);
        let pace = now + self.pace;
        self.sleep.as_mut().reset(next.map_or(pace, |next| next.min(pace)));
        self.waker = Some(cx.waker().clone());
        if self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// This happens when a connection is no longer read and the client does not read the reply: the task no longer asks about
    /// the deadline for reading.
    #[tokio::test]
    async fn a_deadline_that_nobody_asks_about_wakes_the_task_once() {
        let hour = Duration::from_hours(1);
        let counted = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&counted));
        let cx = &mut Context::from_waker(&waker);
        let mut alarm = Alarm::new(hour);
        let now = Instant::now();
        let (past, next) = (now - hour, now - hour / 2);
        for (other, wakes) in [(past, true), (past, false), (past, false), (next, true), (next, false)] {
            assert!(!alarm.has_passed(cx, Some(now + hour), Some(other)));
            assert_eq!(counted.0.swap(0, Ordering::Relaxed) > 0, wakes, "{:?} ago", now - other);
        }
        assert!(alarm.has_passed(cx, Some(now), Some(now)));
    }
}
