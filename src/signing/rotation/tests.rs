//! Rotation: examples, years of scheduled rotation, and random histories.

use std::collections::HashMap;

use proptest::prelude::*;

use super::phases::is_pair;
use super::*;
use crate::model::token::STATELESS_LIFETIME_MAX;

const POLICY: Policy = Policy {
    pending_seconds: 900,
    jwks_max_age_seconds: 300,
    rotate_every_days: Some(90),
    signing_alg: Alg::ES256,
    generates_rsa: false,
};
const START: UnixSeconds = 1_790_000_000;

fn key(kid: &str, alg: Alg, use_for: UseFor, phase: Phase, activates_at: UnixSeconds) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        alg,
        use_for,
        phase,
        public_jwk: "{}".to_owned(),
        sealed_private: matches!(phase, Phase::Pending | Phase::Active).then(|| vec![1]),
        created_at: START,
        activates_at,
        retired_at: matches!(phase, Phase::Retiring | Phase::Gone).then_some(activates_at),
        version: 1,
    }
}

/// The rows of the service, as storage keeps them.
#[derive(Clone)]
struct Rows {
    keys: Vec<SigningKey>,
    made: usize,
}

impl Rows {
    fn new() -> Self {
        Self { keys: Vec::new(), made: 0 }
    }

    fn published(&self) -> Vec<SigningKey> {
        self.keys.iter().filter(|key| key.phase != Phase::Gone).cloned().collect()
    }

    fn insert(&mut self, alg: Alg, use_for: UseFor, placement: Placement, now: UnixSeconds) {
        self.made += 1;
        let kid = format!("key-{}", self.made);
        self.keys.push(SigningKey {
            created_at: now,
            ..key(&kid, alg, use_for, placement.phase, placement.activates_at)
        });
    }

    fn write(&mut self, changed: SigningKey) {
        let row = self.keys.iter_mut().find(|key| key.kid == changed.kid).unwrap();
        assert!(row.phase < changed.phase, "{row:?} must not become {changed:?}");
        assert_eq!(row.version + 1, changed.version);
        *row = changed;
        self.check();
    }

    /// Takes every step that is due, as the job does.
    fn tick(&mut self, now: UnixSeconds, policy: &Policy, live: impl Fn(&str) -> bool) -> Due {
        for _ in 0..10 {
            let published = self.published();
            let due = due(&published, &live, now, policy);
            if due.steps.is_empty() {
                return due;
            }
            for step in &due.steps {
                if let Step::Generate { alg, use_for, placement } = step {
                    self.insert(*alg, *use_for, *placement, now);
                }
                for changed in step.changes(&published, now) {
                    self.write(changed);
                }
            }
        }
        panic!("steps must come to an end");
    }

    /// The rules that must hold between any two writes.
    fn check(&self) {
        for alg in Alg::ALL {
            for use_for in UseFor::ALL {
                let count =
                    |phase| self.keys.iter().filter(|k| k.phase == phase && is_pair(k, alg, use_for)).count();
                assert!(count(Phase::Active) <= 1, "two active {alg} keys");
                assert!(count(Phase::Pending) <= 1, "two pending {alg} keys");
            }
        }
        for key in &self.keys {
            let signs = matches!(key.phase, Phase::Pending | Phase::Active);
            assert_eq!(key.sealed_private.is_some(), signs, "private key of {key:?}");
            assert_eq!(key.retired_at.is_none(), signs);
        }
    }
}

fn no_token_is_live(_: &str) -> bool {
    false
}

#[test]
fn the_first_start_makes_one_active_key_of_each_class_and_a_successor_is_due_in_time() {
    let mut rows = Rows::new();
    let due = rows.tick(START, &POLICY, no_token_is_live);
    assert_eq!(due.manual, []);
    for use_for in UseFor::ALL {
        let key = signing_key(&rows.keys, Alg::ES256, use_for, START).unwrap();
        assert_eq!((key.phase, key.activates_at), (Phase::Active, START));
    }
    assert_eq!(rows.keys.len(), 2);
    assert_eq!(rows.tick(START, &POLICY, no_token_is_live), due, "a second start changes nothing");
    let steps = |now| super::due(&rows.keys, no_token_is_live, now, &POLICY).steps;
    assert_eq!(steps(START + 90 * DAY - 901), []);
    let placement = Placement { phase: Phase::Pending, activates_at: START + 90 * DAY };
    let successor = Step::Generate { alg: Alg::ES256, use_for: UseFor::Expiring, placement };
    assert_eq!(steps(START + 90 * DAY - 900), [successor]);
}

#[test]
fn an_rsa_key_that_cannot_be_generated_has_to_be_imported() {
    let policy = Policy { signing_alg: Alg::RS256, ..POLICY };
    let due = Rows::new().tick(START, &policy, no_token_is_live);
    assert_eq!(
        due.manual,
        UseFor::ALL.map(|use_for| ManualStep::Missing(MissingKey { alg: Alg::RS256, use_for }))
    );
    let text = due.manual[0].to_string();
    assert!(text.contains("POST /v1/signing-keys") && text.contains("RS256"), "{text}");

    let mut rows = Rows::new();
    rows.tick(START, &Policy { generates_rsa: true, ..policy }, no_token_is_live);
    assert_eq!(rows.keys.len(), 2);
}

#[test]
fn a_pending_key_takes_over_at_its_instant_with_or_without_the_job() {
    let mut rows = Rows::new();
    rows.tick(START, &POLICY, no_token_is_live);
    let placement = place(&rows.keys, Alg::ES256, UseFor::Expiring, START, &POLICY).unwrap();
    assert_eq!(placement, Placement { phase: Phase::Pending, activates_at: START + 900 });
    rows.insert(Alg::ES256, UseFor::Expiring, placement, START);

    let signer =
        |rows: &Rows, now| signing_key(&rows.keys, Alg::ES256, UseFor::Expiring, now).unwrap().kid.clone();
    assert_eq!(signer(&rows, START + 899), "key-1");
    assert_eq!(signer(&rows, START + 900), "key-3", "before any job has run");
    let steps = |now| due(&rows.keys, no_token_is_live, now, &POLICY).steps;
    assert_eq!(steps(START + 899), []);
    assert_eq!(steps(START + 900), [Step::Activate { kid: "key-3".to_owned() }]);

    rows.tick(START + 950, &POLICY, no_token_is_live);
    assert_eq!(signer(&rows, START + 950), "key-3");
    let old = &rows.keys[0];
    assert_eq!((old.phase, old.retired_at, &old.sealed_private), (Phase::Retiring, Some(START + 950), &None));
}

#[test]
fn a_pair_has_at_most_one_pending_key() {
    let mut rows = Rows::new();
    rows.tick(START, &POLICY, no_token_is_live);
    let placement = place(&rows.keys, Alg::ES256, UseFor::Expiring, START, &POLICY).unwrap();
    rows.insert(Alg::ES256, UseFor::Expiring, placement, START);
    let refused = place(&rows.keys, Alg::ES256, UseFor::Expiring, START + 1, &POLICY).unwrap_err();
    assert_eq!(refused, AlreadyPending { kid: "key-3".to_owned(), activates_at: START + 900 });
    assert!(place(&rows.keys, Alg::ES256, UseFor::NeverExpiring, START + 1, &POLICY).is_ok());
    let first = place(&rows.keys, Alg::EdDSA, UseFor::Expiring, START + 1, &POLICY).unwrap();
    assert_eq!(first, Placement { phase: Phase::Active, activates_at: START + 1 });
}

#[test]
fn a_new_key_waits_for_the_caches_even_if_a_shorter_time_is_set() {
    let policy = Policy { pending_seconds: 10, ..POLICY };
    let active = [key("a", Alg::ES256, UseFor::Expiring, Phase::Active, START)];
    assert_eq!(
        place(&active, Alg::ES256, UseFor::Expiring, START, &policy).unwrap().activates_at,
        START + 300
    );
}

#[test]
fn a_pending_key_without_an_active_one_takes_over_at_once() {
    let keys = [key("p", Alg::EdDSA, UseFor::Expiring, Phase::Pending, START + 500)];
    let due = due(&keys, no_token_is_live, START, &Policy { signing_alg: Alg::EdDSA, ..POLICY });
    assert_eq!(due.steps[0], Step::Activate { kid: "p".to_owned() });
    assert_eq!(due.steps[0].changes(&keys, START)[0].activates_at, START);
}

#[test]
fn an_imported_rsa_key_is_reported_when_its_successor_should_be_there() {
    let keys = [key("r", Alg::RS256, UseFor::Expiring, Phase::Active, START)];
    let policy = Policy { signing_alg: Alg::ES256, ..POLICY };
    let at = |now| due(&keys, no_token_is_live, now, &policy).manual;
    assert_eq!(at(START + 90 * DAY - 901), []);
    let overdue = ManualStep::Overdue { kid: "r".to_owned(), alg: Alg::RS256, due_at: START + 90 * DAY };
    assert_eq!(at(START + 90 * DAY - 900), [overdue]);
}

#[test]
fn without_a_schedule_and_for_never_expiring_tokens_nothing_rotates() {
    let keys = [
        key("e", Alg::ES256, UseFor::Expiring, Phase::Active, START),
        key("n", Alg::ES256, UseFor::NeverExpiring, Phase::Active, START),
    ];
    let far = START + 10_000 * DAY;
    let unscheduled = Policy { rotate_every_days: None, ..POLICY };
    assert_eq!(due(&keys, no_token_is_live, far, &unscheduled), Due::default());
    let steps = due(&keys, no_token_is_live, far, &POLICY).steps;
    assert!(
        matches!(&steps[..], [Step::Generate { use_for: UseFor::Expiring, .. }]),
        "the never-expiring class rotates by hand: {steps:?}"
    );
}

#[test]
fn a_retired_key_stays_until_the_last_token_it_may_have_signed_has_expired() {
    let mut keys = [
        key("e", Alg::ES256, UseFor::Expiring, Phase::Retiring, START),
        key("n", Alg::ES256, UseFor::NeverExpiring, Phase::Retiring, START),
    ];
    // No ES256 key is generated with this setting, so that every step is about one of these keys.
    let policy = Policy { signing_alg: Alg::RS256, ..POLICY };
    let steps =
        |keys: &[SigningKey], live: &[&str], now| due(keys, |kid| live.contains(&kid), now, &policy).steps;
    let gone = |kid: &str| Step::Gone { kid: kid.to_owned() };
    // 60 seconds are the margin for replicas, 86,400 the longest life of a stateless token.
    assert_eq!(steps(&keys, &[], START + 59), []);
    assert_eq!(steps(&keys, &[], START + 60), [gone("n")]);
    assert_eq!(steps(&keys, &["n"], START + 86_459), []);
    assert_eq!(steps(&keys, &["n"], START + 86_460), [gone("e")]);
    assert_eq!(steps(&keys, &["n", "e"], START + 10_000 * DAY), []);
    assert_eq!(steps(&keys, &[], START + 86_460), [gone("e"), gone("n")]);
    // A key whose row has no time of retirement is kept.
    keys[0].retired_at = None;
    assert_eq!(steps(&keys, &["n"], START + 10_000 * DAY), []);
}

#[test]
fn a_key_is_deleted_only_if_no_token_can_depend_on_it() {
    let at = |phase, now, live| deleted(&key("k", Alg::ES256, UseFor::Expiring, phase, START), live, now);
    assert_eq!(at(Phase::Active, START, 0), Err(NotDeletable::Signing));
    assert_eq!(at(Phase::Pending, START, 0), Err(NotDeletable::Signing), "due, so it may have signed");
    assert_eq!(at(Phase::Pending, START - 60, 0), Err(NotDeletable::Signing), "a replica may be ahead");
    assert_eq!(at(Phase::Pending, START - 61, 0).unwrap().phase, Phase::Gone);
    assert_eq!(at(Phase::Retiring, START + 90_000, 3), Err(NotDeletable::LiveTokens(3)));
    assert_eq!(at(Phase::Retiring, START + 86_459, 0), Err(NotDeletable::MayBeLive(START + 86_460)));
    assert_eq!(at(Phase::Retiring, START + 86_460, 0).unwrap().phase, Phase::Gone);
    assert_eq!(at(Phase::Gone, START, 0), Err(NotDeletable::Gone));
    assert_eq!(at(Phase::Pending, START - 61, 0).unwrap().sealed_private, None);
}

#[test]
fn the_schedule_replaces_each_key_in_time_for_three_years() {
    let (mut rows, mut now) = (Rows::new(), START);
    while now < START + 3 * 365 * DAY {
        rows.tick(now, &POLICY, no_token_is_live);
        let active = signing_key(&rows.keys, Alg::ES256, UseFor::Expiring, now).unwrap();
        assert!(now - active.activates_at < 90 * DAY, "{active:?} is too old");
        assert!(active.activates_at - active.created_at == 900 || active.kid == "key-1");
        assert!(rows.published().len() <= 4);
        now += 900;
    }
    assert_eq!(rows.keys.len(), 2 + 12, "a successor every 90 days");
    assert!(rows.keys.iter().filter(|key| key.phase == Phase::Gone).count() >= 11);
}

#[derive(Debug, Clone)]
enum Event {
    Pass(i64),
    Job,
    Rotate(Alg, UseFor),
    /// A replica issues a token. Its clock is `behind` seconds late (ahead if negative), and it has not read changes of the
    /// last ten seconds yet.
    Issue {
        alg: Alg,
        use_for: UseFor,
        lifetime: i64,
        recorded: bool,
        behind: i64,
    },
    Revoke(prop::sample::Index),
    Delete(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    let alg = || prop::sample::select(vec![Alg::ES256, Alg::EdDSA, Alg::RS256]);
    let use_for = || prop::sample::select(UseFor::ALL.to_vec());
    prop_oneof![
        4 => prop_oneof![0..10_i64, 0..120_i64, 850..950_i64, 86_350..86_470_i64, 0..40 * DAY].prop_map(Event::Pass),
        4 => Just(Event::Job),
        2 => (alg(), use_for()).prop_map(|(alg, use_for)| Event::Rotate(alg, use_for)),
        6 => (alg(), use_for(), prop_oneof![Just(STATELESS_LIFETIME_MAX), 60..=STATELESS_LIFETIME_MAX], any::<bool>(), -40..=40_i64).prop_map(
            |(alg, use_for, lifetime, recorded, behind)| Event::Issue { alg, use_for, lifetime, recorded, behind }
        ),
        1 => any::<prop::sample::Index>().prop_map(Event::Revoke),
        2 => any::<prop::sample::Index>().prop_map(Event::Delete),
    ]
}

struct Token {
    kid: String,
    expires_at: Option<UnixSeconds>,
    recorded: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Events of any kind in any order: each algorithm and class keeps one signer, phases only advance (`Rows::write`), and
    /// every live token can be verified.
    #[test]
    fn no_history_breaks_the_rules(events in prop::collection::vec(event(), 1..120), days in prop::option::of(1..100_i64)) {
        let policy = Policy { rotate_every_days: days, ..POLICY };
        let (mut rows, mut now, mut tokens) = (Rows::new(), START, Vec::<Token>::new());
        rows.tick(now, &policy, no_token_is_live);
        let (mut before, mut changed_at) = (rows.keys.clone(), now - 100);
        for event in events {
            let live: HashMap<String, i64> = tokens.iter().filter(|t| t.recorded).fold(HashMap::new(), |mut live, t| {
                *live.entry(t.kid.clone()).or_default() += 1;
                live
            });
            let snapshot = rows.keys.clone();
            match event {
                Event::Pass(seconds) => now += seconds,
                Event::Job => {
                    rows.tick(now, &policy, |kid| live.contains_key(kid));
                }
                Event::Rotate(alg, use_for) => {
                    rows.tick(now, &policy, |kid| live.contains_key(kid));
                    if let Ok(placement) = place(&rows.published(), alg, use_for, now, &policy) {
                        rows.insert(alg, use_for, placement, now);
                    }
                }
                Event::Issue { alg, use_for, lifetime, recorded, behind } => {
                    let recorded = recorded || use_for == UseFor::NeverExpiring;
                    let known = if now - changed_at < 10 { &before } else { &rows.keys };
                    if let Some(signer) = signing_key(known, alg, use_for, now - behind) {
                        let row = rows.keys.iter().find(|key| key.kid == signer.kid).unwrap();
                        // A token is recorded only if its key still signs. If not, the replica reads the keys and signs again.
                        let signer = if recorded && row.phase >= Phase::Retiring {
                            signing_key(&rows.keys, alg, use_for, now).unwrap()
                        } else {
                            signer
                        };
                        let expires_at = match use_for {
                            UseFor::NeverExpiring => None,
                            // Recorded tokens live up to a year.
                            UseFor::Expiring if recorded => Some(now + lifetime * 365),
                            UseFor::Expiring => Some(now - behind + lifetime),
                        };
                        tokens.push(Token { kid: signer.kid.clone(), expires_at, recorded });
                    }
                }
                Event::Revoke(index) => {
                    let recorded: Vec<usize> =
                        tokens.iter().enumerate().filter(|(_, t)| t.recorded).map(|(i, _)| i).collect();
                    if !recorded.is_empty() {
                        tokens.remove(*index.get(&recorded));
                    }
                }
                Event::Delete(index) => {
                    let key = index.get(&rows.keys).clone();
                    if let Ok(gone) = deleted(&key, live.get(&key.kid).copied().unwrap_or(0), now) {
                        rows.write(gone);
                    }
                }
            }
            tokens.retain(|token| token.expires_at.is_none_or(|at| now < at));
            if rows.keys != snapshot {
                (before, changed_at) = (snapshot, now);
            }

            rows.check();
            for key in &rows.keys {
                prop_assert!(
                    signing_key(&rows.keys, key.alg, key.use_for, now).is_some(),
                    "the pair of {key:?} has no signer"
                );
                let first = rows.keys.iter().find(|other| is_pair(other, key.alg, key.use_for));
                prop_assert!(
                    first.is_some_and(|first| first.kid == key.kid) || key.activates_at - key.created_at >= 900,
                    "{key:?} signs before verifiers know it"
                );
            }
            for token in &tokens {
                let key = rows.keys.iter().find(|key| key.kid == token.kid).unwrap();
                prop_assert_ne!(key.phase, Phase::Gone, "{} is gone while a token of it is live", token.kid);
            }
        }
    }
}
