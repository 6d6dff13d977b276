//! A year of an installation with 100,000 clients, on a clock that the test moves: what has ended is deleted, so every
//! table stays as large as after a quarter, except those that are listed with a reason to grow.
//!
//! The number of tokens a day does not matter for this, as long as there are tokens of each kind: a table that keeps rows too
//! long has several times as many after a year as after a quarter, for any number of tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use mintmark::app::Core;
use mintmark::delivery::{Smtp, Worker};
use mintmark::issuance::TokenRequest;
use mintmark::model::client::{ActiveTokens, ApiClient};
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::ids;
use mintmark::model::inline_id::SecretId;
use mintmark::model::proof::Proof;
use mintmark::model::secret::ClientSecret;
use mintmark::model::slot_lease::ListKind;
use mintmark_verifier::{AccessTokenClaims, Checks, Verifier};

use super::{Place, START, admin};
use crate::support::{Engine, on_both_engines};

on_both_engines!(tables_stop_growing_unless_they_are_listed);

const DAY: i64 = 86_400;
const CLIENTS: usize = 100_000;
/// How many of them get tokens. The others fill the tables, and each day one of them gets a new generation.
const BUSY: usize = 450;
/// Tokens a day, of each of three kinds.
const A_DAY: usize = 5;
/// Stateless tokens a day that are revoked individually.
const DENIED: usize = 2;
/// Reminders a day: of the tokens that are valid for two days, a day before they end.
const REMINDED: usize = A_DAY;
/// A quarter of the year, in days.
const SEASON: usize = 90;
const YEAR: usize = 365;

/// Tables that may grow: by how many rows a season at most, and why. All others keep their size, within 5 %.
const MAY_GROW: [(&str, i64, &str); 5] = [
    (
        "audit_checkpoints",
        93,
        "one of each day before the last week stays, as proof of what the trail contained then",
    ),
    ("audit_nodes", 5, "they are the hashes of every 256 events, from which proofs are made"),
    (
        "audit_events",
        14 * 91,
        "it records what was done, here eight revocations and five reminders a day and changes of keys, and is kept without end by default, because it is there to prove what happened",
    ),
    ("change_log", 10_000, "it is cut when it has 10,000 rows, which takes more than a year here"),
    ("signing_keys", 2, "the record of a key stays, and rotation creates one a season"),
];
/// In how many parts the bits of a status list are stored. A part is stored once a status in it is set.
const PARTS: i64 = 32;

struct Year {
    place: Place,
    core: Core,
    /// Without a mail server: mails count as sent.
    worker: Worker,
    checks: Checks,
    clients: Vec<String>,
}

/// Writes `CLIENTS` clients directly to the storage. The first `BUSY` ones have a secret. Their tokens are stateless, recorded
/// and never-expiring in turn. Returns the client ids.
async fn stock(place: &Place) -> Vec<String> {
    let storage = place.storage().await;
    let mut ids = Vec::with_capacity(CLIENTS);
    let mut slots = Vec::new();
    for chunk in 0..CLIENTS / 10_000 {
        let mut tx = storage.begin().await.unwrap();
        for number in chunk * 10_000..(chunk + 1) * 10_000 {
            if slots.is_empty() {
                slots =
                    tx.lease_slots(ListKind::Generations, 10_000, [7; 16], START).await.unwrap().collect();
            }
            let mut random = [0; 16];
            random[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let client = ApiClient {
                client_id: ids::client_id(random),
                workspace_id: "acme".to_owned(),
                label: format!("ERP {number}"),
                description: None,
                products: if number < BUSY { vec!["gst".to_owned()] } else { Vec::new() },
                permissions: Vec::new(),
                token_expiry: match number % 3 {
                    0 => TokenExpiry::After { seconds: 3_600 },
                    1 => TokenExpiry::After { seconds: 2 * DAY },
                    _ => TokenExpiry::Never {},
                },
                notification_emails: if number < BUSY {
                    vec![format!("{number}@acme.example")]
                } else {
                    Vec::new()
                },
                allowed_ips: Vec::new(),
                signing_alg: None,
                expires_at: None,
                metadata: BTreeMap::new(),
                disabled_at: None,
                active_tokens: ActiveTokens::Many,
                generation: 1,
                slot: slots.pop(),
                slots_suspended_at: None,
                created_at: START,
                updated_at: START,
                version: 1,
            };
            tx.insert_client(&client, &format!("{number:08}")).await.unwrap();
            if number < BUSY {
                let secret = ClientSecret {
                    secret_id: secret_id(number),
                    client_id: client.client_id.clone(),
                    mac: vec![0; 32],
                    last_four: "0000".to_owned(),
                    created_at: START,
                    expires_at: None,
                    last_used_at: None,
                    last_used_from: None,
                    first_used_at: None,
                    used_last_24h: 0,
                };
                tx.insert_secret(&secret).await.unwrap();
            }
            ids.push(client.client_id);
        }
        tx.commit().await.unwrap();
    }
    ids
}

fn secret_id(number: usize) -> String {
    format!("00000000-0000-7000-8000-{number:012}")
}

impl Year {
    async fn issue(&self, number: usize) -> AccessTokenClaims {
        let credentials =
            self.core.services.clients.credentials(&self.clients[number]).await.unwrap().unwrap();
        let proof = Proof::Secret { secret_id: SecretId::new(&secret_id(number)).unwrap() };
        let issued =
            self.core.services.issuer.issue(&credentials, &proof, TokenRequest::default()).await.unwrap();
        let now = self.core.services.clock().now();
        self.checks.verify(&issued.access_token, &self.core.services.ring.key_set(), now).unwrap()
    }

    /// Issues the tokens of a day, and returns their claims. Revokes the never-expiring tokens of the day before, a few of
    /// today's stateless tokens, and all tokens of one client.
    async fn day(&self, day: usize, yesterdays: &[AccessTokenClaims]) -> Vec<AccessTokenClaims> {
        let first = day * 3 * A_DAY % BUSY;
        let tokens = join_all((0..3 * A_DAY).map(|n| self.issue((first + n) % BUSY))).await;
        for token in yesterdays.iter().filter(|token| token.never_expires) {
            self.core.services.tokens.revoke_presented_token(&admin(), token).await.unwrap();
        }
        // A stateless token is revoked individually. A client that gets no tokens begins a new generation.
        for token in
            tokens.iter().filter(|token| token.exp.is_some_and(|exp| exp - token.iat <= DAY)).take(DENIED)
        {
            self.core.services.tokens.revoke_presented_token(&admin(), token).await.unwrap();
        }
        self.core.services.tokens.revoke_tokens(&admin(), &self.clients[BUSY + day]).await.unwrap();
        tokens
    }

    async fn housekeeping(&self) {
        let services = &self.core.services;
        services.signing.advance_signing_keys().await.unwrap();
        services.tokens.apply_due_changes().await.unwrap();
        services.write_last_used().await.unwrap();
        services.reminders.remind().await.unwrap();
        self.worker.run_once().await.unwrap();
        services.ledger.keep_audit_tree().await.unwrap();
        services.clean_up().await.unwrap();
    }

    /// How many rows every table has.
    async fn rows(&self) -> BTreeMap<String, i64> {
        let mut session = self.place.database.session().await;
        let mut rows = BTreeMap::new();
        for table in session.tables().await {
            let count = session.number(&format!("SELECT COUNT(*) FROM {table}")).await;
            rows.insert(table, count);
        }
        rows
    }
}

async fn tables_stop_growing_unless_they_are_listed(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let core = place.core().await;
    let clients = stock(&place).await;
    let builder = Verifier::builder("http://127.0.0.1:1", "http://127.0.0.1:1/products");
    let checks = builder.allow_never_expiring(true).leeway_seconds(0).checks().unwrap();
    let worker = core.services.worker(Smtp::default()).unwrap();
    let year = Year { place, core, worker, checks, clients };
    let services = Arc::clone(&year.core.services);
    let living = async {
        let mut yesterdays = Vec::new();
        let mut after_a_season = BTreeMap::new();
        for day in 0..YEAR {
            year.place.clock.advance(DAY);
            yesterdays = year.day(day, &yesterdays).await;
            year.housekeeping().await;
            if day == SEASON {
                after_a_season = year.rows().await;
            }
        }
        (after_a_season, year.rows().await)
    };
    let (season, end) = tokio::select! {
        rows = living => rows,
        () = services.tokens.record_in_groups() => unreachable!("nobody stops it"),
    };
    assert!(season.len() >= 15 && season.keys().eq(end.keys()), "{season:?} and then {end:?}");
    // Recorded tokens are kept for thirty days after they have ended. There are also those that have not ended yet.
    let recorded = i64::try_from(2 * A_DAY).unwrap();
    assert!((30 * recorded..34 * recorded).contains(&end["access_tokens"]), "{end:?}");
    // Stateless tokens end after an hour, so only those of the last day are still denied.
    assert_eq!(end["denied_tokens"], i64::try_from(DENIED).unwrap(), "{end:?}");
    assert!(end["change_log"] <= 10_000, "{end:?}");
    assert!(end["status_bits"] <= PARTS * end["status_lists"], "{end:?}");
    // Each revocation of one token and each reminder has a mail. Sent mails are kept for a week; the last are from today.
    let mails = i64::try_from(A_DAY + DENIED + REMINDED).unwrap();
    assert!((7 * mails..=9 * mails).contains(&end["deliveries"]), "{end:?}");
    for (table, rows) in end.iter().filter(|(table, _)| *table != "status_bits") {
        let growth = MAY_GROW.iter().find(|(name, _, _)| name == table);
        let room = growth.map_or(season[table] / 20, |(_, a_season, _)| 3 * a_season);
        assert!(*rows <= season[table] + room, "{table}: {season:?} after a season, {end:?} after a year");
    }
    for (name, _, why) in MAY_GROW {
        assert!(end[name] > season[name], "{name} did not grow, though it may because {why}: {end:?}");
    }
}
