//! The account of an operator: adding and removing ways in.

use mintmark::kernel::Error;
use mintmark::model::operator::Way;
use mintmark::operators::{WayIn, WayRef};
use zeroize::Zeroizing;

use super::{PASSWORD, acme_admin, audited, code, here, new_app, passkey, set_up, signed_in, staffed};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    adding_a_way_in_ends_the_other_sessions,
    the_last_way_in_stays,
    an_identity_is_linked_to_one_operator_only
);

fn identity(subject: &str) -> WayIn {
    WayIn::Identity {
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
        provider: "corp".to_owned(),
    }
}

async fn adding_a_way_in_ends_the_other_sessions(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = super::created(&services, "a@acme.example", acme_admin()).await;
    let proof = set_up(&services, &created, 1).await;
    let elsewhere = operators.start_session(&proof, &here()).await.unwrap().unwrap();
    let mine = operators.start_session(&proof, &here()).await.unwrap().unwrap();
    let renewed = operators.add_way_in(&mine.session, passkey(2), &here()).await.unwrap();
    assert_eq!(renewed.session.session_id, mine.session.session_id);
    for (cookie, lives) in [(&elsewhere.cookie, false), (&mine.cookie, false), (&renewed.cookie, true)] {
        assert_eq!(operators.session(cookie).await.unwrap().is_some(), lives);
    }
    let again = operators.add_way_in(&renewed.session, passkey(2), &here()).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let ways = operators.ways_in(&renewed.session).await.unwrap();
    assert_eq!(ways.passkeys.len(), 2);
    assert_eq!(ways.passkeys[0].name, "Laptop");
    let ended = operators.add_way_in(&elsewhere.session, passkey(3), &here()).await;
    assert!(matches!(ended, Err(Error::NotFound("session"))), "{ended:?}");
    assert_eq!(operators.passkey(&[3; 16]).await.unwrap(), None);
    assert_eq!(audited(&services, "operator.way_in_added").await.len(), 2);
}

async fn the_last_way_in_stays(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let session = signed_in(&services, "a@acme.example", acme_admin(), 1).await.session;
    let first = WayRef::Passkey(vec![1; 16]);
    let refused = operators.remove_way_in(&session, &first, &here()).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let secret = new_app();
    let early = WayIn::Totp { secret: secret.clone(), code: code(&secret, services.clock().now()) };
    let refused = operators.add_way_in(&session, early, &here()).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "an app without a password: {refused:?}");
    let password = WayIn::Password {
        password: Zeroizing::new(PASSWORD.to_owned()),
        totp: Some((secret.clone(), code(&secret, services.clock().now()))),
    };
    let session = operators.add_way_in(&session, password, &here()).await.unwrap().session;
    assert_eq!(session.operator.sign_in, [Way::Passkey, Way::Password, Way::Totp]);
    operators.remove_way_in(&session, &first, &here()).await.unwrap();
    for way in [WayRef::Totp, WayRef::Password] {
        let refused = operators.remove_way_in(&session, &way, &here()).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{way:?}: {refused:?}");
    }
    let gone = operators.remove_way_in(&session, &first, &here()).await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
    // The password can be changed without a new authenticator app.
    let password = WayIn::Password { password: Zeroizing::new(format!("{PASSWORD} 2")), totp: None };
    let session = operators.add_way_in(&session, password, &here()).await.unwrap().session;
    let ways = operators.ways_in(&session).await.unwrap();
    assert!(ways.passkeys.is_empty() && ways.password_set_at.is_some() && ways.totp_confirmed_at.is_some());
}

async fn an_identity_is_linked_to_one_operator_only(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let one = signed_in(&services, "a@acme.example", acme_admin(), 1).await.session;
    let other = signed_in(&services, "b@acme.example", acme_admin(), 2).await.session;
    assert!(operators.identity("https://login.example", "s", &here()).await.unwrap().is_none());
    let one = operators.add_way_in(&one, identity("s"), &here()).await.unwrap().session;
    let refused = operators.add_way_in(&other, identity("s"), &here()).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let signed_in = operators.identity("https://login.example", "s", &here()).await.unwrap().unwrap();
    assert_eq!((signed_in.operator_id(), signed_in.way()), (one.operator.operator_id.as_str(), Way::Oidc));
    assert!(operators.identity("https://other.example", "s", &here()).await.unwrap().is_none());
    let linked = WayRef::Identity { issuer: "https://login.example".to_owned(), subject: "s".to_owned() };
    operators.remove_way_in(&one, &linked, &here()).await.unwrap();
    assert!(operators.identity("https://login.example", "s", &here()).await.unwrap().is_none());
}
