//! The server is killed (SIGKILL) again and again while it sends mails, at a random byte or moment: when it connects, while it
//! sends, before and after it marks a mail as sent. No mail is lost, and each kill causes at most one duplicate of each mail
//! that was being sent, under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mintmark::model::delivery::{Channel, MAIL_HOST, NewDelivery};

use super::process::Place;
use crate::support::{Answer, Engine, Heard, MailServer, Random, TestDatabase, until};

/// How many mails are new in each life of the server.
const A_LIFE: usize = 4;
/// The shortest session of one mail has more bytes.
const SESSION_BYTES: usize = 700;
/// How many mails are sent at once.
const AT_ONCE: usize = 2;
/// An environment variable that repeats a run.
const SEED: &str = "DELIVERY_KILLS_SEED";

/// When the server is killed, counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// When it has sent so many bytes; the receiver sees the connection end there.
    AtByte(usize),
    /// When it has sent so many mails, before it gets the reply.
    BeforeReply(usize),
    /// So many turns of another thread after it got the reply for so many mails: before, while and after it marks the last.
    AfterReply(usize, usize),
    Never,
}

#[derive(Debug)]
struct Plan {
    pid: AtomicU32,
    life: AtomicUsize,
    kill: Mutex<Kill>,
    bytes: AtomicUsize,
    mails: AtomicUsize,
    /// The life in which each mail came: life, id, text.
    came: Mutex<Vec<(usize, String, String)>>,
}

impl Plan {
    fn begin(&self, life: usize, kill: Kill) {
        self.life.store(life, Ordering::SeqCst);
        self.pid.store(0, Ordering::SeqCst);
        self.bytes.store(0, Ordering::SeqCst);
        self.mails.store(0, Ordering::SeqCst);
        *self.kill.lock().unwrap() = kill;
    }

    fn kill(&self) {
        *self.kill.lock().unwrap() = Kill::Never;
        // It may send before it says that it serves.
        while self.pid.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let pid = self.pid.load(Ordering::SeqCst).to_string();
        let killed = Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap();
        assert!(killed.success());
    }

    fn heard(self: &Arc<Self>, heard: Heard<'_>) -> Answer {
        let kill = *self.kill.lock().unwrap();
        match heard {
            Heard::Bytes(_) => {
                let bytes = self.bytes.fetch_add(1, Ordering::SeqCst) + 1;
                if kill == Kill::AtByte(bytes) {
                    self.kill();
                    return Answer::Close;
                }
            }
            Heard::Mail(mail) => {
                let id = mail.header("Message-ID").unwrap();
                let life = self.life.load(Ordering::SeqCst);
                self.came.lock().unwrap().push((life, id, mail.text.clone()));
                let mails = self.mails.fetch_add(1, Ordering::SeqCst) + 1;
                match kill {
                    Kill::BeforeReply(at) if at == mails => {
                        self.kill();
                        return Answer::Close;
                    }
                    Kill::AfterReply(at, turns) if at == mails => {
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
            }
            Heard::Connection | Heard::Command(_) => {}
        }
        Answer::Usual
    }
}

fn next_kill(random: &mut Random) -> Kill {
    match random.below(4) {
        0 => Kill::BeforeReply(1 + random.below(A_LIFE)),
        1 => Kill::AfterReply(1 + random.below(A_LIFE), random.below(20_000)),
        _ => Kill::AtByte(1 + random.below(A_LIFE * SESSION_BYTES)),
    }
}

#[tokio::test]
async fn a_hundred_kills_lose_no_mail_on_sqlite() {
    no_mail_is_lost(Engine::Sqlite, 100).await;
}

#[tokio::test]
async fn kills_lose_no_mail_on_postgres() {
    no_mail_is_lost(Engine::Postgres, 25).await;
}

async fn no_mail_is_lost(engine: Engine, kills: usize) {
    let mut random = Random::seeded(SEED);
    let seed = random.seed;
    let plan = Arc::new(Plan {
        pid: AtomicU32::new(0),
        life: AtomicUsize::new(0),
        kill: Mutex::new(Kill::Never),
        bytes: AtomicUsize::new(0),
        mails: AtomicUsize::new(0),
        came: Mutex::default(),
    });
    let hearing = Arc::clone(&plan);
    let server = MailServer::scripted(move |heard| hearing.heard(heard));
    let database = TestDatabase::new(engine);
    let place = Place::with_issuer(Engine::Sqlite)
        .with("MINTMARK__DATABASE__URL", database.url())
        .with("MINTMARK__SMTP__URL", &server.url())
        .with("MINTMARK__SMTP__FROM", "tokens@example.com");
    let mut queued = BTreeSet::new();
    for life in 0..kills {
        queue(&database, life, &mut queued).await;
        let kill = next_kill(&mut random);
        plan.begin(life, kill);
        let mut serving = place.serve();
        plan.pid.store(serving.running.pid(), Ordering::SeqCst);
        while !serving.running.has_ended() {
            tokio::task::yield_now().await;
        }
        // Two minutes pass: leases of the process that is gone have ended, and what failed is due.
        let mut session = database.session().await;
        session
            .execute("UPDATE deliveries SET lease_until = 0, next_attempt_at = 0 WHERE sent_at IS NULL")
            .await;
    }
    plan.begin(kills, Kill::Never);
    let serving = place.serve();
    let unsent = "SELECT COUNT(*) FROM deliveries WHERE sent_at IS NULL";
    until("all are sent", async || database.number(unsent).await == 0).await;
    assert_eq!(serving.stop().code, 0);

    let came = plan.came.lock().unwrap();
    let mut lives: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut texts: BTreeMap<&str, &str> = BTreeMap::new();
    for (life, id, text) in came.iter() {
        lives.entry(id).or_default().push(*life);
        assert_eq!(texts.entry(id).or_insert(text), text, "seed {seed}: a duplicate is the same mail");
    }
    let ids: BTreeSet<String> = lives.keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(ids, queued, "seed {seed}: each mail has come");
    let mut duplicates = vec![0; kills + 1];
    for (id, lives) in &lives {
        let once: BTreeSet<&usize> = lives.iter().collect();
        assert_eq!(once.len(), lives.len(), "seed {seed}: {id} came twice in one life: {lives:?}");
        for life in &lives[..lives.len() - 1] {
            duplicates[*life] += 1;
        }
    }
    assert!(duplicates.iter().all(|mails| *mails <= AT_ONCE), "seed {seed}: {duplicates:?}");
    println!("{} mails came, {} of them a second time", came.len(), came.len() - ids.len());
}

/// Queues the mails of a life; notes their ids as the server sees them.
async fn queue(database: &TestDatabase, life: usize, queued: &mut BTreeSet<String>) {
    let storage = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    for number in 0..A_LIFE {
        let delivery_id = format!("00000000-0000-7000-8000-{:012}", life * A_LIFE + number);
        queued.insert(format!("<{delivery_id}@127.0.0.1>"));
        let mail = NewDelivery {
            delivery_id,
            channel: Channel::Mail,
            kind: "client.created".to_owned(),
            recipient: format!("{number}@acme.example"),
            host: MAIL_HOST.to_owned(),
            workspace_id: None,
            about_id: "cl_1".to_owned(),
            body: "{\"label\":\"ERP\"}".to_owned(),
            unique_key: None,
            occurrences: 1,
            queued_at: 1_790_000_000,
            first_attempt_at: 0,
        };
        assert!(tx.enqueue_delivery(&mail).await.unwrap());
    }
    tx.commit().await.unwrap();
    storage.close().await;
}
