//! Reminders before something ends: each is sent once over a year, and late if no process ran on its day; of several that were
//! missed, only the nearest is sent.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mintmark::clients::{ClientChange, NewSecret};
use mintmark::kernel::Precondition;
use mintmark::ledger::{AuditFilter, DeliveryFilter};
use mintmark::model::client::ApiClient;
use mintmark::model::clock::{Clock as _, to_rfc3339};
use mintmark::model::delivery::Delivery;
use mintmark::model::member::Member;
use mintmark::model::page::Page;
use mintmark::model::reach::Reach;
use mintmark::model::token::RecordedToken;
use mintmark::services::Services;
use mintmark::tenants::WorkspaceChange;
use serde_json::{Value, json};

use super::{Place, START, admin, wanted};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    each_reminder_of_a_year_is_sent_once,
    missed_reminders_are_sent_late_and_of_several_only_the_nearest,
    an_end_that_is_moved_has_its_own_reminders,
    no_reminder_is_sent_for_what_is_gone,
    a_reminder_says_that_the_client_is_disabled_or_its_workspace_suspended,
    many_reminders_are_sent_in_few_mails,
    processes_that_run_at_the_same_time_send_each_reminder_once,
    no_reminder_is_sent_for_a_token_that_was_renewed,
);

const DAY: i64 = 86_400;
const CONTACT: &str = "finance-it@acme.example";

fn day(number: i64) -> i64 {
    START + number * DAY
}

/// Moves the clock to `at`, and lets a process read the changes since.
async fn until(place: &Place, services: &Services, at: i64) {
    place.clock.advance(at - place.clock.now());
    services.ledger.poll().await.unwrap();
}

async fn client(services: &Services, expires_at: Option<i64>) -> ApiClient {
    let wanted = ClientChange {
        notification_emails: Member::Value(vec![CONTACT.to_owned()]),
        expires_at: expires_at.map_or(Member::Absent, |at| Member::Value(to_rfc3339(at))),
        ..wanted("ERP", &["gst"])
    };
    services.clients.create_client(&admin(), "acme", &wanted, None).await.unwrap().record.client
}

/// Adds a secret; returns its id.
async fn secret(services: &Services, client: &ApiClient, ends_at: i64) -> String {
    let wanted = NewSecret { expires_at: Some(to_rfc3339(ends_at)), ..NewSecret::default() };
    let made = services.clients.add_secret(&admin(), &client.client_id, &wanted, None).await.unwrap();
    made.record.secret_id
}

fn token(client: &ApiClient, jti: &str, ends_at: Option<i64>, issued_by: &str) -> RecordedToken {
    RecordedToken {
        jti: jti.to_owned(),
        client_id: client.client_id.clone(),
        workspace_id: client.workspace_id.clone().into(),
        kid: "k1".into(),
        generation: 1,
        scope: "gst".into(),
        products: "gst".into(),
        issued_at: START,
        expires_at: ends_at,
        revoked_at: None,
        revoke_at: None,
        slot: None,
        last_introspected_at: None,
        issued_by: issued_by.to_owned().into(),
    }
}

async fn record(place: &Place, tokens: &[RecordedToken]) {
    let mut tx = place.storage().await.begin().await.unwrap();
    for token in tokens {
        tx.insert_recorded_token(token).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The reminders of a client so far: what ends, how many days before its end, and on which day.
async fn reminders(place: &Place, client_id: &str) -> Vec<(String, i64, i64)> {
    let filter = AuditFilter { client_id: Some(client_id.to_owned()), ..AuditFilter::default() };
    let events =
        place.storage().await.audit_events(&Reach::Platform, &filter, &Page::first(200)).await.unwrap();
    let mut reminders: Vec<_> = events
        .items
        .into_iter()
        .filter(|event| event.action.ends_with(".expiring"))
        .map(|event| {
            assert_eq!(event.actor.name, "system");
            (event.target.clone(), event.detail["days"].as_i64().unwrap(), (event.at - START).div_euclid(DAY))
        })
        .collect();
    reminders.sort();
    reminders
}

/// All mails whose kind ends with `kind`, oldest first.
async fn mails(services: &Services, kind: &str) -> Vec<Delivery> {
    let found =
        services.ledger.deliveries(&admin(), DeliveryFilter::default(), &Page::first(200)).await.unwrap();
    let mut found: Vec<_> = found.items.into_iter().filter(|mail| mail.kind.ends_with(kind)).collect();
    found.reverse();
    found
}

fn facts(mail: &Delivery) -> Value {
    serde_json::from_str(&mail.body).unwrap()
}

async fn each_reminder_of_a_year_is_sent_once(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (here, there) = (place.services().await, place.services().await);
    let erp = client(&here, Some(day(300))).await;
    let mut expected = vec![
        (erp.client_id.clone(), 30, 270),
        (erp.client_id.clone(), 7, 293),
        (erp.client_id.clone(), 1, 299),
        // The token `short` ends on day 2, so it has only the reminder at one day. The first secret of the client never ends.
        ("long".to_owned(), 30, 170),
        ("long".to_owned(), 7, 193),
        ("long".to_owned(), 1, 199),
        ("short".to_owned(), 1, 1),
    ];
    for (ends, reminded) in [
        (60, &[(30, 30), (7, 53), (1, 59)][..]),
        // A secret that is made 30 days or less before its end has no reminder at 30 days: the mail about its creation names
        // the end.
        (20, &[(7, 13), (1, 19)]),
        (30, &[(7, 23), (1, 29)]),
        (150, &[(30, 120), (7, 143), (1, 149)]),
    ] {
        let id = secret(&here, &erp, day(ends)).await;
        expected.extend(reminded.iter().map(|(days, on)| (id.clone(), *days, *on)));
    }
    record(
        &place,
        &[
            token(&erp, "long", Some(day(200)), "cli"),
            token(&erp, "short", Some(day(2)), "client"),
            token(&erp, "endless", None, "cli"),
        ],
    )
    .await;
    // The two processes take turns, every seven hours.
    for hour in (0..365 * 24).step_by(7) {
        place.clock.advance(7 * 3600);
        let services = if hour % 2 == 0 { &here } else { &there };
        services.ledger.poll().await.unwrap();
        services.reminders.remind().await.unwrap();
    }
    expected.sort();
    let reminders = reminders(&place, &erp.client_id).await;
    // An interval of seven hours may end on the next day.
    let on_the_day = |(expected, found): (&(String, i64, i64), &(String, i64, i64))| {
        (&expected.0, expected.1) == (&found.0, found.1) && (0..=1).contains(&(found.2 - expected.2))
    };
    assert_eq!(reminders.len(), expected.len(), "{reminders:?}");
    assert!(expected.iter().zip(&reminders).all(on_the_day), "{reminders:?}\n{expected:?}");
    let mails = mails(&here, ".expiring").await;
    assert_eq!(mails.len(), expected.len());
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for mail in &mails {
        assert_eq!((mail.recipient.as_str(), mail.occurrences), (CONTACT, 1));
        *by_kind.entry(&mail.kind).or_default() += 1;
    }
    assert_eq!(
        by_kind,
        BTreeMap::from([("access_token.expiring", 4), ("client.expiring", 3), ("secret.expiring", 10)])
    );
    let first = facts(&mails[0]);
    assert_eq!(first["by"], json!({"kind": "system"}));
    assert_eq!((&first["label"], &first["workspace_id"]), (&json!("ERP"), &json!("acme")));
    assert_eq!((&first["jti"], &first["scope"]), (&json!("short"), &json!("gst")));
    assert_eq!(first["ends_at"], to_rfc3339(day(2)));
}

async fn missed_reminders_are_sent_late_and_of_several_only_the_nearest(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let erp = client(&services, None).await;
    let [all, one, none] = [40, 60, 39].map(day);
    let (all, one, none) = (
        secret(&services, &erp, all).await,
        secret(&services, &erp, one).await,
        secret(&services, &erp, none).await,
    );
    assert_eq!(services.reminders.remind().await.unwrap(), 0);
    // No process runs from the first day to the 39th. In the meantime one secret ended, one missed three reminders, and one
    // missed one.
    until(&place, &services, day(39) + 60).await;
    assert_eq!(services.reminders.remind().await.unwrap(), 2);
    let mut expected = vec![(all.clone(), 1, 39), (one.clone(), 30, 39)];
    expected.sort();
    let found = reminders(&place, &erp.client_id).await;
    assert_eq!(found, expected);
    assert!(!found.iter().any(|(id, ..)| *id == none), "the secret had ended: {found:?}");
    // One mail for both, with the next end first.
    let sent = mails(&services, ".expiring").await;
    let facts = facts(&sent[0]);
    assert_eq!((sent.len(), &facts["ends_at"]), (1, &json!(to_rfc3339(day(40)))));
    assert_eq!(facts["also"][0]["ends_at"], to_rfc3339(day(60)));
    assert_eq!(services.reminders.remind().await.unwrap(), 0);
    for (at, sent) in [(day(52), 0), (day(53), 1), (day(58), 0), (day(59), 1), (day(61), 0)] {
        until(&place, &services, at).await;
        assert_eq!(services.reminders.remind().await.unwrap(), sent, "{}", (at - START) / DAY);
    }
}

async fn an_end_that_is_moved_has_its_own_reminders(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let erp = client(&services, Some(day(50))).await;
    let old = secret(&services, &erp, day(100)).await;
    for number in 0..130 {
        until(&place, &services, day(number) + 1).await;
        services.reminders.remind().await.unwrap();
        // On day 45 the end of the client is moved from day 50 to day 120, before its reminder at one day.
        if number == 45 {
            let later =
                ClientChange { expires_at: Member::Value(to_rfc3339(day(120))), ..ClientChange::default() };
            services
                .clients
                .change_client(&admin(), &erp.client_id, &Precondition::None, &later)
                .await
                .unwrap();
        }
        if number == 75 {
            let rotated = NewSecret { expire_others_after_seconds: Some(10 * DAY), ..NewSecret::default() };
            services.clients.add_secret(&admin(), &erp.client_id, &rotated, None).await.unwrap();
        }
    }
    let found = reminders(&place, &erp.client_id).await;
    let of = |id: &str| {
        found.iter().filter(|(of, ..)| of == id).map(|(_, days, on)| (*days, *on)).collect::<Vec<_>>()
    };
    assert_eq!(of(&erp.client_id), [(1, 119), (7, 43), (7, 113), (30, 20), (30, 90)]);
    // On day 75 the end of `old` is moved from day 100 to day 85, so the time of its reminder at 30 days is past.
    assert_eq!(of(&old), [(1, 84), (7, 78), (30, 70)]);
}

async fn no_reminder_is_sent_for_what_is_gone(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let (erp, other) = (client(&services, None).await, client(&services, Some(day(39))).await);
    let removed = secret(&services, &erp, day(40)).await;
    secret(&services, &other, day(40)).await;
    let gone = client(&services, Some(day(40))).await;
    secret(&services, &gone, day(40)).await;
    record(
        &place,
        &[
            token(&gone, "of a deleted client", Some(day(40)), "cli"),
            RecordedToken { revoked_at: Some(START), ..token(&erp, "revoked", Some(day(40)), "cli") },
        ],
    )
    .await;
    services.clients.delete_secret(&admin(), &erp.client_id, &removed, false).await.unwrap();
    services.clients.delete_client(&admin(), &gone.client_id, &Precondition::None).await.unwrap();
    until(&place, &services, day(39) + 5).await;
    // The only secret left that would end belongs to a client that has ended.
    assert_eq!(services.reminders.remind().await.unwrap(), 0);
    assert!(mails(&services, ".expiring").await.is_empty());
}

async fn a_reminder_says_that_the_client_is_disabled_or_its_workspace_suspended(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let erp = client(&services, Some(day(40))).await;
    let said = |mail: &Delivery| {
        let facts = facts(mail);
        (facts["is_disabled"].as_bool().unwrap(), facts["is_suspended"].as_bool().unwrap())
    };
    let disabled = ClientChange { status: Member::Value("disabled".to_owned()), ..ClientChange::default() };
    services.clients.change_client(&admin(), &erp.client_id, &Precondition::None, &disabled).await.unwrap();
    until(&place, &services, day(10) + 5).await;
    assert_eq!(services.reminders.remind().await.unwrap(), 1);
    let suspended =
        WorkspaceChange { status: Member::Value("suspended".to_owned()), ..WorkspaceChange::default() };
    services.tenants.change_workspace(&admin(), "acme", &Precondition::None, &suspended).await.unwrap();
    until(&place, &services, day(33) + 5).await;
    assert_eq!(services.reminders.remind().await.unwrap(), 1);
    let sent = mails(&services, ".expiring").await;
    assert_eq!(sent.iter().map(said).collect::<Vec<_>>(), [(true, false), (true, true)]);
}

async fn many_reminders_are_sent_in_few_mails(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let erp = client(&services, None).await;
    let tokens: Vec<_> =
        (0..250).map(|number| token(&erp, &format!("jti{number:04}"), Some(day(40)), "cli")).collect();
    record(&place, &tokens).await;
    until(&place, &services, day(10)).await;
    assert_eq!(services.reminders.remind().await.unwrap(), 250);
    assert_eq!(services.reminders.remind().await.unwrap(), 0);
    let sent = mails(&services, ".expiring").await;
    let named: usize = sent.iter().map(|mail| 1 + facts(mail)["also"].as_array().unwrap().len()).sum();
    // One transaction looks at 100 ends at most, and writes one mail about them.
    assert_eq!((sent.len(), named), (3, 250));
}

async fn processes_that_run_at_the_same_time_send_each_reminder_once(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let processes = [place.services().await, place.services().await, place.services().await];
    let erp = client(&processes[0], Some(day(40))).await;
    for _ in 0..3 {
        secret(&processes[0], &erp, day(40)).await;
    }
    for services in &processes {
        until(&place, services, day(33) + 1).await;
    }
    let sent = join_all(processes.iter().map(|services| services.reminders.remind())).await;
    assert_eq!(sent.into_iter().map(Result::unwrap).sum::<usize>(), 4);
    assert_eq!(reminders(&place, &erp.client_id).await.len(), 4);
    // One mail is about the client, the other about its three secrets.
    assert_eq!(mails(&processes[0], ".expiring").await.len(), 2);
}

async fn no_reminder_is_sent_for_a_token_that_was_renewed(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let erp = client(&services, None).await;
    record(
        &place,
        &[
            token(&erp, "first", Some(day(40)), "client"),
            token(&erp, "second", Some(day(41)), "client"),
            token(&erp, "by hand", Some(day(40)), "operator"),
        ],
    )
    .await;
    until(&place, &services, day(34) + 1).await;
    services.reminders.remind().await.unwrap();
    // The client has requested `second`, which ends later than `first`. That does not renew `by hand`, which an operator
    // generated.
    assert_eq!(
        reminders(&place, &erp.client_id).await,
        [("by hand".to_owned(), 7, 34), ("second".to_owned(), 7, 34)]
    );
}
