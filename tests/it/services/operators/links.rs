//! Setup links: each works once, until it expires or another link replaces it.

use mintmark::kernel::Error;
use mintmark::model::operator::{Role, Way};
use mintmark::operators::WayIn;
use serde_json::json;
use zeroize::Zeroizing;

use super::{PASSWORD, acme_admin, audited, code, created, here, new_app, passkey, set_up, staffed, token};
use crate::services::admin;
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_link_may_be_opened_often_and_used_once,
    a_refused_way_in_does_not_use_up_the_link,
    using_a_new_link_replaces_earlier_ways_in,
    a_link_ends_after_a_day_or_with_its_successor,
    of_two_who_use_a_link_one_is_served,
);

async fn a_link_may_be_opened_often_and_used_once(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let (link, operators) = (&created.setup_link, &services.operators);
    assert!(link.url().starts_with("http://127.0.0.1:1/console/setup/"), "{}", link.url());
    let carried = token(link.url());
    // 256 bits as base64url.
    assert_eq!(carried.len(), 43);
    assert!(!format!("{created:?}").contains(carried));
    for _ in 0..2 {
        let setup = operators.setup(carried).await.unwrap().unwrap();
        assert_eq!((setup.email.as_str(), setup.has_ways_in), ("a@acme.example", false));
    }
    let signed_in = set_up(&services, &created, 1).await;
    assert_eq!(
        (signed_in.operator_id(), signed_in.way()),
        (created.operator.operator_id.as_str(), Way::Passkey)
    );
    assert_eq!(operators.setup(carried).await.unwrap(), None);
    let again = operators.use_setup_link(carried, passkey(2), &here()).await;
    assert!(matches!(again, Err(Error::NotFound("setup link"))), "{again:?}");
    let found = operators.operator(&admin(), &created.operator.operator_id).await.unwrap();
    assert_eq!(found.sign_in, [Way::Passkey]);
    let id = created.operator.operator_id.clone();
    assert_eq!(
        audited(&services, "operator.way_in_added").await,
        [(format!("operator:{id}"), id, json!({"by": "setup_link", "way": "passkey"}))]
    );
    assert_eq!(audited(&services, "operator.setup_link_created").await.len(), 1);
}

async fn a_refused_way_in_does_not_use_up_the_link(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let (carried, operators) = (token(created.setup_link.url()), &services.operators);
    let secret = new_app();
    let right = code(&secret, services.clock().now());
    let password = |password: &str, code: Option<&str>| WayIn::Password {
        password: Zeroizing::new(password.to_owned()),
        totp: code.map(|code| (secret.clone(), code.to_owned())),
    };
    for (way, pointer) in [
        (password(PASSWORD, None), "/code"),
        (password(PASSWORD, Some("000000")), "/code"),
        (password("short", Some(&right)), "/password"),
        (
            WayIn::Passkey {
                credential_id: vec![1],
                public_key: vec![1],
                alg: -7,
                sign_count: 0,
                name: " ".to_owned(),
            },
            "/name",
        ),
    ] {
        let refused = operators.use_setup_link(carried, way, &here()).await;
        let Err(Error::Invalid(errors)) = refused else { panic!("{refused:?}") };
        assert_eq!(errors[0].pointer, pointer);
    }
    let signed_in =
        operators.use_setup_link(carried, password(PASSWORD, Some(&right)), &here()).await.unwrap();
    assert_eq!(signed_in.way(), Way::Totp);
}

async fn using_a_new_link_replaces_earlier_ways_in(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let id = created.operator.operator_id.as_str();
    let signed_in = set_up(&services, &created, 1).await;
    let session = operators.start_session(&signed_in, &here()).await.unwrap().unwrap();
    let link = operators.new_setup_link(&admin(), id).await.unwrap();
    assert!(operators.setup(token(link.url())).await.unwrap().unwrap().has_ways_in);
    assert!(operators.session(&session.cookie).await.unwrap().is_some(), "the link alone ends nothing");
    let again = operators.use_setup_link(token(link.url()), passkey(2), &here()).await.unwrap();
    assert_eq!(again.operator_id(), id);
    assert!(operators.session(&session.cookie).await.unwrap().is_none());
    assert_eq!(operators.passkey(&[1; 16]).await.unwrap(), None);
    assert!(operators.passkey(&[2; 16]).await.unwrap().is_some());
    let mails = place.storage().await.mails_about(id).await.unwrap();
    assert_eq!(mails, [("operator.way_in_removed".to_owned(), "a@acme.example".to_owned())]);
    assert_eq!(
        audited(&services, "operator.way_in_removed").await,
        [(format!("operator:{id}"), id.to_owned(), json!({"by": "setup_link", "ways": ["passkey"]}))]
    );
    let ended = audited(&services, "operator.session_ended").await;
    assert_eq!(ended, [(format!("operator:{id}"), id.to_owned(), json!({"sessions": 1}))]);
}

async fn a_link_ends_after_a_day_or_with_its_successor(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = created(&services, "a@acme.example", vec![Role::PlatformAdmin]).await;
    let id = created.operator.operator_id.as_str();
    let successor = operators.new_setup_link(&admin(), id).await.unwrap();
    assert_eq!(operators.setup(token(created.setup_link.url())).await.unwrap(), None);
    place.clock.advance(86_399);
    assert!(operators.setup(token(successor.url())).await.unwrap().is_some());
    place.clock.advance(1);
    assert_eq!(operators.setup(token(successor.url())).await.unwrap(), None);
    let late = operators.use_setup_link(token(successor.url()), passkey(1), &here()).await;
    assert!(matches!(late, Err(Error::NotFound("setup link"))), "{late:?}");
    for other in ["", "x", "../../etc", &"A".repeat(43), "\0"] {
        assert_eq!(operators.setup(other).await.unwrap(), None);
    }
    let unknown = operators.new_setup_link(&admin(), "01990000-0000-7000-8000-000000000009").await;
    assert!(matches!(unknown, Err(Error::NotFound("operator"))), "{unknown:?}");
}

async fn of_two_who_use_a_link_one_is_served(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let (carried, operators) = (token(created.setup_link.url()), &services.operators);
    let (here, there) = (here(), here());
    let (one, other) = tokio::join!(
        operators.use_setup_link(carried, passkey(1), &here),
        operators.use_setup_link(carried, passkey(2), &there),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let found = operators.passkeys_of(&created.operator.operator_id).await.unwrap();
    assert_eq!(found.len(), 1);
}
