//! When the server is killed, and what has come by then: shared by the mail server and the receiver of webhooks.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::support::Random;

use super::receiver::REPLY;
use super::{A_LIFE, REQUEST_BYTES, SESSION_BYTES};

/// When the server is killed, counted from its start over mails and webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// When it makes a connection, before anything is read from it.
    AtConnection(usize),
    /// When it has sent so many bytes; the receiver sees the connection end there.
    AtByte(usize),
    /// When it has sent so many deliveries, and the receiver so many bytes of the reply to the last.
    InReply(usize, usize),
    /// So many turns of another thread after it got the reply to so many deliveries: before, while and after it marks the last.
    AfterReply(usize, usize),
    Never,
}

impl Kill {
    /// One that comes in each life.
    pub(super) fn next(random: &mut Random) -> Self {
        match random.below(8) {
            // A webhook has a connection of its own, mails may share one.
            0 => Self::AtConnection(1 + random.below(A_LIFE)),
            1 | 2 => Self::InReply(1 + random.below(2 * A_LIFE), random.below(REPLY.len() + 1)),
            3 | 4 => Self::AfterReply(1 + random.below(2 * A_LIFE), random.below(20_000)),
            _ => Self::AtByte(1 + random.below(A_LIFE * (SESSION_BYTES + REQUEST_BYTES))),
        }
    }
}

/// A delivery that came whole.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) life: usize,
    pub(super) id: String,
    /// The text of a mail, the body of a request.
    pub(super) content: String,
}

/// What is done about a delivery that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Reply,
    /// So many bytes of the reply are sent, then the server is killed, then the connection ends.
    KillAfter(usize),
}

#[derive(Debug)]
pub(super) struct Plan {
    pid: AtomicU32,
    life: AtomicUsize,
    kill: Mutex<Kill>,
    connections: AtomicUsize,
    bytes: AtomicUsize,
    deliveries: AtomicUsize,
    came: Mutex<Vec<Came>>,
    /// The ids of those that were answered: that they are taken, whatever became of the reply on its way.
    answered: Mutex<BTreeSet<String>>,
}

impl Plan {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            pid: AtomicU32::new(0),
            life: AtomicUsize::new(0),
            kill: Mutex::new(Kill::Never),
            connections: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            deliveries: AtomicUsize::new(0),
            came: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    /// Begins a life of the server, which is not started yet.
    pub(super) fn begin(&self, life: usize, kill: Kill) {
        self.life.store(life, Ordering::SeqCst);
        self.pid.store(0, Ordering::SeqCst);
        for count in [&self.connections, &self.bytes, &self.deliveries] {
            count.store(0, Ordering::SeqCst);
        }
        *self.kill.lock().unwrap() = kill;
    }

    /// The server of this life runs.
    pub(super) fn runs(&self, pid: u32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    pub(super) fn kill(&self) {
        *self.kill.lock().unwrap() = Kill::Never;
        // It may send before it says that it serves.
        while self.pid.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let pid = self.pid.load(Ordering::SeqCst).to_string();
        let killed = Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap();
        assert!(killed.success());
    }

    /// A connection was made. Returns whether it ends here.
    pub(super) fn connected(&self) -> bool {
        self.count(&self.connections, Kill::AtConnection)
    }

    /// A byte came. Returns whether the connection ends here.
    pub(super) fn byte(&self) -> bool {
        self.count(&self.bytes, Kill::AtByte)
    }

    fn count(&self, count: &AtomicUsize, at: impl Fn(usize) -> Kill) -> bool {
        let now = at(count.fetch_add(1, Ordering::SeqCst) + 1);
        let killed = *self.kill.lock().unwrap() == now;
        if killed {
            self.kill();
        }
        killed
    }

    /// A delivery came whole.
    pub(super) fn came(self: &Arc<Self>, id: &str, content: &str) -> Then {
        let life = self.life.load(Ordering::SeqCst);
        let came = Came { life, id: id.to_owned(), content: content.to_owned() };
        self.came.lock().unwrap().push(came);
        let deliveries = self.deliveries.fetch_add(1, Ordering::SeqCst) + 1;
        let kill = *self.kill.lock().unwrap();
        match kill {
            Kill::InReply(at, bytes) if at == deliveries => return Then::KillAfter(bytes),
            Kill::AfterReply(at, turns) if at == deliveries => {
                let plan = Arc::clone(self);
                std::thread::spawn(move || {
                    for _ in 0..turns {
                        std::thread::yield_now();
                    }
                    plan.kill();
                });
            }
            _ => {}
        }
        Then::Reply
    }

    /// A delivery is answered: it is taken.
    pub(super) fn answers(&self, id: &str) {
        self.answered.lock().unwrap().insert(id.to_owned());
    }

    pub(super) fn all_came(&self) -> MutexGuard<'_, Vec<Came>> {
        self.came.lock().unwrap()
    }

    pub(super) fn answered(&self) -> BTreeSet<String> {
        self.answered.lock().unwrap().clone()
    }
}
