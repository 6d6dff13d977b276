//! The server is killed (SIGKILL) again and again while it sends mails and webhooks, at a random byte or moment: when it
//! connects, while it sends, while it receives the reply, before and after it marks a delivery as sent. No delivery is lost.
//! Each kill duplicates at most the deliveries that were being sent. A duplicate has the same id and content.

mod plan;
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mintmark::model::delivery::{Channel, MAIL_HOST, NewDelivery};

use super::process::{Place, text};
use crate::support::{Answer, Engine, Heard, MailServer, Random, TestDatabase, until};
use plan::{Kill, Plan, Then};

/// How many mails, and as many webhooks, are queued for each life of the server (from its start to its kill).
const A_LIFE: usize = 4;
/// Fewer bytes than the shortest SMTP session with one mail.
const SESSION_BYTES: usize = 700;
/// Fewer bytes than the shortest request to a webhook.
const REQUEST_BYTES: usize = 500;
/// How many mails the server sends at once, and how many webhooks to one host.
const AT_ONCE: usize = 2;
/// The environment variable with the seed of a run, to repeat it.
const SEED: &str = "DELIVERY_KILLS_SEED";

/// The deliveries that were queued, by their ids.
type Queued = BTreeMap<String, NewDelivery>;

#[tokio::test]
async fn a_hundred_kills_lose_no_delivery_on_sqlite() {
    no_delivery_is_lost(Engine::Sqlite, 100).await;
}

#[tokio::test]
async fn kills_lose_no_delivery_on_postgres() {
    no_delivery_is_lost(Engine::Postgres, 25).await;
}

/// A mail server that follows the plan.
fn mail_server(plan: &Arc<Plan>) -> MailServer {
    let plan = Arc::clone(plan);
    MailServer::scripted(move |heard| {
        let ends = match heard {
            Heard::Connection => plan.connected(),
            Heard::Bytes(_) => plan.byte(),
            Heard::Mail(mail) => {
                let id = mail.header("Message-ID").unwrap();
                let id = id.strip_prefix('<').and_then(|id| id.strip_suffix("@127.0.0.1>")).unwrap();
                match plan.came(id, &mail.text) {
                    Then::Reply => {
                        plan.answers(id);
                        false
                    }
                    // No reply is sent: a part of its one line would not count as a reply.
                    Then::KillAfter(_) => {
                        plan.kill();
                        true
                    }
                }
            }
            Heard::Command(_) => false,
        };
        if ends { Answer::Close } else { Answer::Usual }
    })
}

async fn no_delivery_is_lost(engine: Engine, kills: usize) {
    let mut random = Random::seeded(SEED);
    let seed = random.seed;
    let plan = Plan::new();
    let server = mail_server(&plan);
    let host = receiver::listen(&plan).to_string();
    let database = TestDatabase::new(engine);
    let place = Place::with_issuer(Engine::Sqlite)
        .with("MINTMARK__DATABASE__URL", database.url())
        .with("MINTMARK__SMTP__URL", &server.url())
        .with("MINTMARK__SMTP__FROM", "tokens@example.com")
        .with("MINTMARK__OUTBOUND__ALLOW", "127.0.0.1");
    place.json(&["workspaces", "create", "acme", "--name", "Acme", "--json"]);
    let url = format!("http://{host}/in");
    // The webhook is for events that do not happen here, so that it gets only what the test queues.
    let made = place.json(&["webhooks", "create", "acme", "--url", &url, "--events", "secret.*", "--json"]);
    let webhook_id = text(&made, "webhook_id");
    let mut queued = Queued::new();
    for life in 0..kills {
        queue(&database, life, (webhook_id, &host), &mut queued).await;
        plan.begin(life, Kill::next(&mut random));
        let mut serving = place.serve();
        plan.runs(serving.running.pid());
        while !serving.running.has_ended() {
            tokio::task::yield_now().await;
        }
        // As if two minutes had passed: the leases of the killed process end, and failed deliveries are tried again.
        let mut session = database.session().await;
        session
            .execute("UPDATE deliveries SET lease_until = 0, next_attempt_at = 0 WHERE sent_at IS NULL")
            .await;
    }
    plan.begin(kills, Kill::Never);
    let serving = place.serve();
    let unsent = "SELECT COUNT(*) FROM deliveries WHERE sent_at IS NULL";
    until("all deliveries are sent", async || database.number(unsent).await == 0).await;
    assert_eq!(serving.stop().code, 0);
    judge(&plan, kills, &queued, seed);
}

/// Checks that each delivery came, and how often each came.
fn judge(plan: &Plan, kills: usize, queued: &Queued, seed: u64) {
    let came = plan.all_came();
    let mut lives: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut contents: BTreeMap<&str, &str> = BTreeMap::new();
    for one in came.iter() {
        lives.entry(&one.id).or_default().push(one.life);
        let content = one.content.as_str();
        let first = contents.entry(&one.id).or_insert(content);
        assert_eq!(*first, content, "seed {seed}: a duplicate has the same content");
    }
    let ids: BTreeSet<String> = lives.keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(
        ids,
        queued.keys().cloned().collect(),
        "seed {seed}: each queued delivery came, and nothing else"
    );
    assert_eq!(plan.answered(), ids, "seed {seed}: each delivery was accepted");
    for channel in Channel::ALL {
        let of_channel = || lives.iter().filter(|(id, _)| queued[**id].channel == channel);
        let mut duplicates = vec![0; kills + 1];
        for (id, lives) in of_channel() {
            let once: BTreeSet<&usize> = lives.iter().collect();
            assert_eq!(once.len(), lives.len(), "seed {seed}: {id} came twice in one life: {lives:?}");
            for life in &lives[..lives.len() - 1] {
                duplicates[*life] += 1;
            }
        }
        assert!(duplicates.iter().all(|of_a_kill| *of_a_kill <= AT_ONCE), "seed {seed}: {duplicates:?}");
        let again: usize = duplicates.iter().sum();
        println!(
            "{}: {} came, {again} of them a second time",
            channel.as_str(),
            of_channel().count() + again
        );
    }
    for (id, one) in queued.iter().filter(|(_, one)| one.channel == Channel::Webhook) {
        assert_eq!(contents[id.as_str()], one.body, "seed {seed}: {id}");
    }
}

/// Queues the mails and the webhooks of one life of the server.
async fn queue(database: &TestDatabase, life: usize, (webhook_id, host): (&str, &str), queued: &mut Queued) {
    let mut new = Vec::new();
    for number in 0..2 * A_LIFE {
        let number = life * 2 * A_LIFE + number;
        let mail = NewDelivery {
            delivery_id: format!("00000000-0000-7000-8000-{number:012}"),
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
        new.push(if number.is_multiple_of(2) {
            mail
        } else {
            NewDelivery {
                channel: Channel::Webhook,
                recipient: webhook_id.to_owned(),
                host: host.to_owned(),
                workspace_id: Some("acme".to_owned()),
                body: format!("{{\"type\":\"client.created\",\"data\":{{\"label\":\"Prüfung {number}\"}}}}"),
                ..mail
            }
        });
    }
    let storage = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    tx.enqueue_deliveries(&new).await.unwrap();
    tx.commit().await.unwrap();
    storage.close().await;
    queued.extend(new.into_iter().map(|one| (one.delivery_id.clone(), one)));
}
