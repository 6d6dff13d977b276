//! The only timer of a connection. It fires at regular intervals and then checks which deadlines have passed, so that
//! requests do not set timers.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    pace: Duration,
    waker: Option<Waker>,
}

impl Alarm {
    /// Fires every `pace`, which is no longer than any of the time limits.
    pub(super) fn new(pace: Duration) -> Self {
        Self { sleep: Box::pin(sleep(pace)), pace, waker: None }
    }

    /// Whether `deadline` has passed. If not, the task is woken when it or `other` has, at the latest.
    pub(super) fn has_passed(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        other: Option<Instant>,
    ) -> bool {
        let next = deadline.into_iter().chain(other).min();
        let rings_in_time = next.is_none_or(|next| self.sleep.deadline() <= next);
        let is_ours = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_ours && rings_in_time && !self.sleep.is_elapsed() {
            return false;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return true;
        }
        let pace = now + self.pace;
        self.sleep.as_mut().reset(next.map_or(pace, |next| next.min(pace)));
        self.waker = Some(cx.waker().clone());
        if self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        false
    }
}
