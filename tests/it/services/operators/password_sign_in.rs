//! Signing in with a password and a second factor: a code of an authenticator app or a recovery code.

use mintmark::kernel::{Error, Precondition};
use mintmark::model::member::Member;
use mintmark::model::operator::Way;
use mintmark::operators::{CodeCheck, OperatorChange, PasswordCheck};

use super::{PASSWORD, acme_admin, audited, code, from, here, signed_in, staffed, with_password};
use crate::services::admin;
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_password_and_a_code_sign_in,
    a_refusal_does_not_say_which_part_was_wrong,
    a_code_works_once,
    a_recovery_code_works_once,
    failures_are_slowed_and_a_known_network_is_not_locked_out,
);

async fn a_password_and_a_code_sign_in(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (set_up, secret) = with_password(&services, "A@acme.example", acme_admin()).await;
    assert_eq!(set_up.way(), Way::Totp);
    let right = operators.check_password(" a@ACME.example", PASSWORD, &here()).await.unwrap();
    let PasswordCheck::CodeNeeded { operator_id } = right else { panic!("{right:?}") };
    assert_eq!(operator_id, set_up.operator_id());
    // The code that confirmed the app is already used.
    let now = services.clock().now();
    let used = operators.check_totp(&operator_id, &code(&secret, now), &here()).await.unwrap();
    assert_eq!(used, CodeCheck::Refused);
    place.clock.advance(30);
    let next = operators.check_totp(&operator_id, &code(&secret, now + 30), &here()).await.unwrap();
    let CodeCheck::SignedIn(signed_in) = next else { panic!("{next:?}") };
    assert_eq!((signed_in.operator_id(), signed_in.way()), (operator_id.as_str(), Way::Totp));
}

async fn a_refusal_does_not_say_which_part_was_wrong(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (set_up, _) = with_password(&services, "a@acme.example", acme_admin()).await;
    signed_in(&services, "passkey@acme.example", acme_admin(), 1).await;
    for (email, password) in [
        ("a@acme.example", "correct horse batterz"),
        ("a@acme.example", ""),
        ("a@acme.example", &format!("{PASSWORD}{}", "x".repeat(2_000))),
        ("b@acme.example", PASSWORD),
        ("passkey@acme.example", PASSWORD),
        ("", PASSWORD),
        ("a\0@acme.example", PASSWORD),
    ] {
        let refused = operators.check_password(email, password, &here()).await.unwrap();
        assert_eq!(refused, PasswordCheck::Refused, "{email:?}");
    }
    let disabled =
        OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    operators.change_operator(&admin(), set_up.operator_id(), &Precondition::None, &disabled).await.unwrap();
    let refused = operators.check_password("a@acme.example", PASSWORD, &here()).await.unwrap();
    assert_eq!(refused, PasswordCheck::Refused);
    // There is one entry for each account, network and ten minutes: here one for each of the two operators, and one for all
    // addresses without an operator. No entry contains what was typed.
    let events = audited(&services, "operator.sign_in_refused").await;
    let targets: Vec<_> = events.iter().map(|(actor, target, _)| (actor.as_str(), target.as_str())).collect();
    assert_eq!(targets.len(), 3, "{events:?}");
    assert_eq!(targets[0], ("unknown", set_up.operator_id()));
    assert_eq!(targets[1], ("unknown", "unknown"));
    assert!(!format!("{events:?}").contains("acme.example"));
    // Ten minutes later there is a new entry, even though the clock was set back meanwhile.
    place.clock.leap(-86_400);
    place.clock.advance(600);
    let refused = operators.check_password("b@acme.example", PASSWORD, &here()).await.unwrap();
    assert_eq!(refused, PasswordCheck::Refused);
    assert_eq!(audited(&services, "operator.sign_in_refused").await.len(), 4);
}

async fn a_code_works_once(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (set_up, secret) = with_password(&services, "a@acme.example", acme_admin()).await;
    let id = set_up.operator_id();
    place.clock.advance(60);
    let now = services.clock().now();
    let code = code(&secret, now);
    let (there, here) = (from("198.51.100.1"), here());
    let (one, other) =
        tokio::join!(operators.check_totp(id, &code, &here), operators.check_totp(id, &code, &there));
    let served = [one.unwrap(), other.unwrap()];
    assert_eq!(
        served.iter().filter(|check| matches!(check, CodeCheck::SignedIn(_))).count(),
        1,
        "{served:?}"
    );
    // An older code that would still be in time is refused too.
    let older = operators.check_totp(id, &super::code(&secret, now - 30), &here).await.unwrap();
    assert_eq!(older, CodeCheck::Refused);
    // After five attempts only one code a minute is checked, also for a caller that knows the password. The wait is rounded
    // up, to 61 seconds at most.
    for _ in 0..2 {
        assert_eq!(operators.check_totp(id, "000000", &here).await.unwrap(), CodeCheck::Refused);
    }
    let slowed = operators.check_totp(id, "000000", &here).await.unwrap();
    assert!(matches!(slowed, CodeCheck::Slowed(1..=61)), "{slowed:?}");
}

async fn a_recovery_code_works_once(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (set_up, _) = with_password(&services, "a@acme.example", acme_admin()).await;
    let session = operators.start_session(&set_up, &here()).await.unwrap().unwrap().session;
    let codes = operators.new_recovery_codes(&session, &here()).await.unwrap();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 19), "{codes:?}");
    let id = set_up.operator_id();
    let typed = codes[3].to_uppercase().replace('-', " ");
    let first = operators.use_recovery_code(id, &typed, &here()).await.unwrap();
    assert!(matches!(&first, CodeCheck::SignedIn(by) if by.way() == Way::RecoveryCode), "{first:?}");
    assert_eq!(operators.use_recovery_code(id, &codes[3], &here()).await.unwrap(), CodeCheck::Refused);
    assert_eq!(operators.use_recovery_code(id, "", &here()).await.unwrap(), CodeCheck::Refused);
    assert_eq!(operators.ways_in(&session).await.unwrap().recovery_codes, 9);
    let other = signed_in(&services, "b@acme.example", acme_admin(), 1).await.session;
    let refused = operators.new_recovery_codes(&other, &here()).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "without an app: {refused:?}");
}

async fn failures_are_slowed_and_a_known_network_is_not_locked_out(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (set_up, _) = with_password(&services, "a@acme.example", acme_admin()).await;
    operators.start_session(&set_up, &here()).await.unwrap().unwrap();
    let attempt = async |email: &str, password: &str, from: &str| {
        operators.check_password(email, password, &super::from(from)).await.unwrap()
    };
    // Ten attempts for an address from one network are checked at once, then ten a minute.
    for (email, network) in [("a@acme.example", "198.51.100"), ("nobody@acme.example", "198.51.100")] {
        for number in 1..=10 {
            let refused = attempt(email, "wrong wrong wrong", &format!("{network}.{number}")).await;
            assert_eq!(refused, PasswordCheck::Refused, "{email} {number}");
        }
        let slowed = attempt(email, "wrong wrong wrong", &format!("{network}.77")).await;
        assert!(matches!(slowed, PasswordCheck::Slowed(1..=60)), "{email}: {slowed:?}");
    }
    // From that network the right password gets the same reply, which does not reveal that it is right.
    let slowed = attempt("a@acme.example", PASSWORD, "198.51.100.9").await;
    assert!(matches!(slowed, PasswordCheck::Slowed(_)), "{slowed:?}");
    // From a network from which the operator signed in before, the right password passes, however many attempts failed there.
    for _ in 0..11 {
        attempt("a@acme.example", "wrong wrong wrong", "203.0.113.99").await;
    }
    let wrong = attempt("a@acme.example", "wrong wrong wrong", "203.0.113.99").await;
    assert!(matches!(wrong, PasswordCheck::Slowed(_)), "{wrong:?}");
    let right = attempt("a@acme.example", PASSWORD, "203.0.113.50").await;
    assert!(matches!(right, PasswordCheck::CodeNeeded { .. }), "{right:?}");
}
