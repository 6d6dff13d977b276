//! When the server is killed, and which deliveries came: shared by the mail server and the receiver of webhooks.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::support::Random;

use super::receiver::REPLY;
use super::{A_LIFE, REQUEST_BYTES, SESSION_BYTES};

/// When the server is killed. Connections, bytes and deliveries are counted from its start, mails and webhooks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// When it makes this connection, before anything is read from it.
    AtConnection(usize),
    /// When the receiver has read this number of bytes. The receiver then closes the connection.
    AtByte(usize),
    /// When this delivery has come and the receiver has sent this number of bytes of its reply. For a mail, no byte is sent.
    InReply(usize, usize),
    /// When this delivery has come and a thread has yielded this number of times since: before, while or after the server reads
    /// the reply and marks the delivery as sent.
    AfterReply(usize, usize),
    Never,
}

impl Kill {
    /// A kill that is certain to happen, since each life of the server has enough connections, bytes and deliveries.
    pub(super) fn next(random: &mut Random) -> Self {
        match random.below(8) {
            // Each webhook has its own connection; mails may share one.
            0 => Self::AtConnection(1 + random.below(A_LIFE)),
            1 | 2 => Self::InReply(1 + random.below(2 * A_LIFE), random.below(REPLY.len() + 1)),
            3 | 4 => Self::AfterReply(1 + random.below(2 * A_LIFE), random.below(20_000)),
            _ => Self::AtByte(1 + random.below(A_LIFE * (SESSION_BYTES + REQUEST_BYTES))),
        }
    }
}

/// A delivery that was received completely.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) life: usize,
    pub(super) id: String,
    /// The text of a mail, the body of a request.
    pub(super) content: String,
}

/// What the receiver does after it has received a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Sends the whole reply.
    Reply,
    /// Sends this number of bytes of the reply, kills the server, and closes the connection. The mail server sends none.
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
    /// The ids of the deliveries to which a reply was sent that accepts them. The server may not have received it.
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

    /// Notes the process id of the server of this life.
    pub(super) fn runs(&self, pid: u32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// Kills the server.
    pub(super) fn kill(&self) {
        *self.kill.lock().unwrap() = Kill::Never;
        // The server may send something before the test has noted its process id.
        while self.pid.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let pid = self.pid.load(Ordering::SeqCst).to_string();
        let killed = Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap();
        assert!(killed.success());
    }

    /// Counts a connection. Returns whether the server was killed: then the connection ends here.
    pub(super) fn connected(&self) -> bool {
        self.count(&self.connections, Kill::AtConnection)
    }

    /// Counts a byte. Returns whether the server was killed: then the connection ends here.
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

    /// Notes a delivery that was received completely.
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

    /// Notes that a reply accepts a delivery.
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
