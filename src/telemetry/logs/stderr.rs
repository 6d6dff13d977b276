//! Writes the log to standard error. A command writes each line at once; a serving process has a thread that writes, so that
//! no request waits for the reader of the log.
//!
//! The thread gathers lines for a few milliseconds and writes them together, many in one system call. If the reader
//! stalls, the service goes on, and lines beyond a bound are dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::layer::Output;
use super::repeats::Repeats;
use crate::model::clock::{Clock as _, SystemClock, UnixSeconds};

/// How long lines that are not urgent wait for others.
const GATHER: Duration = Duration::from_millis(5);
/// The number of bytes from which on lines no longer wait.
const ENOUGH: usize = 64 * 1024;
/// The number of bytes from which on lines are dropped.
const BOUND: usize = 4 * 1024 * 1024;
/// How long [`LogGuard`] waits at the end until the last lines are written.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many lines of this process were dropped.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines of this process were dropped, because the reader of the log was too slow or the log had ended.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Writes each line at once.
pub(super) struct Direct;

impl Output for Direct {
    fn write_line(&self, line: &str, _urgent: bool) {
        // Without standard error there is no place left to report an error to.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Ends the log when it is dropped. What is still queued is written first, unless the reader stalls: then the process ends
/// after two seconds all the same. `main` keeps it until the end.
#[must_use = "the log ends when this is dropped"]
#[derive(Debug)]
pub struct LogGuard {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.closed = true;
        self.queue.changed.notify_one();
        let (waiting, late) = self
            .queue
            .ended
            .wait_timeout_while(waiting, self.patience, |waiting| !waiting.ended)
            .unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        if let Some(thread) = self.thread.take().filter(|_| !late.timed_out()) {
            let _ = thread.join();
        }
    }
}

/// Starts the thread that writes to `to`: the lines, and at the end of each second how many repeats were held back.
pub(super) fn start(to: impl Write + Send + 'static, repeats: Arc<Repeats>) -> io::Result<(Lines, LogGuard)> {
    let queue = Arc::new(Queue::default());
    let for_thread = Arc::clone(&queue);
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        for_thread.write_all(to, &repeats);
        for_thread.lock().ended = true;
        for_thread.ended.notify_one();
    })?;
    Ok((Lines(Arc::clone(&queue)), LogGuard { queue, thread: Some(thread), patience: PATIENCE }))
}

/// Where lines are queued.
#[derive(Debug, Clone)]
pub(super) struct Lines(Arc<Queue>);

impl Output for Lines {
    fn write_line(&self, line: &str, urgent: bool) {
        let mut waiting = self.0.lock();
        if waiting.closed || waiting.bytes.len() + line.len() > BOUND {
            waiting.lost += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line.as_bytes());
        let hurry = urgent || waiting.bytes.len() >= ENOUGH;
        let news = was_empty || (hurry && !waiting.hurry);
        waiting.hurry |= hurry;
        drop(waiting);
        if news {
            self.0.changed.notify_one();
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    hurry: bool,
    closed: bool,
    ended: bool,
    lost: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut to: impl Write, repeats: &Repeats) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let (closed, lost) = self.next(&mut batch);
            let now = if closed { UnixSeconds::MAX } else { SystemClock.now() };
            repeats.over(now, |line| batch.extend_from_slice(line.as_bytes()));
            if !batch.is_empty() {
                let _ = to.write_all(&batch).and_then(|()| to.flush());
            }
            if lost > 0 {
                tracing::warn!(target: "mintmark::logs", lost, "log lines were dropped, because they were not read fast enough");
            }
            if closed {
                return;
            }
        }
    }

    /// Waits for lines, at most until the end of the second, and swaps them into `batch`, which is empty. Returns whether they
    /// are the last, and how many lines were dropped meanwhile.
    fn next(&self, batch: &mut Vec<u8>) -> (bool, u64) {
        let idle = |w: &mut Waiting| w.bytes.is_empty() && !w.closed;
        let rest = 1_000 - SystemClock.now_millis().rem_euclid(1_000).unsigned_abs();
        let (waiting, _) = self
            .changed
            .wait_timeout_while(self.lock(), Duration::from_millis(rest), idle)
            .unwrap_or_else(PoisonError::into_inner);
        let gathering = |w: &mut Waiting| !w.hurry && !w.closed;
        let (mut waiting, _) = self
            .changed
            .wait_timeout_while(waiting, GATHER, gathering)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.bytes, batch);
        waiting.hurry = false;
        (waiting.closed, std::mem::take(&mut waiting.lost))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::config::LogFormat;

    /// A reader that shows each batch and finishes it only on a signal, or when there can be no more signals.
    struct Slow {
        go: mpsc::Receiver<()>,
        seen: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.seen.send(bytes.to_vec());
            let _ = self.go.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>, Lines, LogGuard) {
        let ((go, wait), (seen, batches)) = (mpsc::channel(), mpsc::channel());
        let (lines, guard) = start(Slow { go: wait, seen }, Arc::new(Repeats::new(LogFormat::Text))).unwrap();
        (go, batches, lines, guard)
    }

    #[test]
    fn everything_logged_is_written_in_order_before_the_end() {
        let (go, batches, lines, guard) = slow();
        drop(go);
        let expected = (0..10_000).fold(String::new(), |lines, n| lines + &format!("line {n}\n"));
        for line in expected.split_inclusive('\n') {
            lines.write_line(line, line.contains('7'));
        }
        drop(guard);
        assert_eq!(String::from_utf8(batches.iter().flatten().collect()).unwrap(), expected);
    }

    #[test]
    fn a_single_line_is_written_without_waiting_for_another() {
        let (go, batches, lines, _guard) = slow();
        drop(go);
        for urgent in [false, true] {
            lines.write_line("one\n", urgent);
            assert_eq!(batches.recv().unwrap(), b"one\n");
        }
    }

    #[test]
    fn while_the_reader_stalls_lines_beyond_the_bound_are_dropped_and_counted() {
        let (go, batches, lines, guard) = slow();
        lines.write_line("first\n", true);
        assert_eq!(batches.recv().unwrap(), b"first\n");
        let line = "x".repeat(ENOUGH);
        for _ in 0..BOUND / ENOUGH + 20 {
            lines.write_line(&line, false);
        }
        let lost = lines.0.lock().lost;
        drop(go);
        drop(guard);
        assert_eq!(lost, 20);
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), BOUND);
    }

    #[test]
    fn a_reader_that_stalls_does_not_delay_the_exit() {
        let (go, batches, lines, mut guard) = slow();
        guard.patience = Duration::ZERO;
        lines.write_line("first\n", true);
        assert_eq!(batches.recv().unwrap(), b"first\n");
        lines.write_line("never read\n", true);
        drop(guard);
        // Only now the reader goes on.
        drop(go);
    }
}
