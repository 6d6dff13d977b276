//! Operators whose roles come from the claims of a sign-in provider.

use mintmark::kernel::{Error, Precondition};
use mintmark::model::member::Member;
use mintmark::model::operator::{Role, Way};
use mintmark::operators::{Claims, ClaimsCheck, OperatorChange, WayIn};

use serde_json::Value;

use super::{acme_admin, audited, created, here, set_up, signed_in, staffed};
use crate::services::{START, admin};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    an_operator_is_created_and_their_roles_follow_the_claims,
    claims_without_a_role_or_with_the_address_of_another_are_refused,
    an_operator_linked_by_hand_keeps_their_roles,
    only_the_provider_that_created_an_operator_sets_their_roles,
    each_sign_in_is_stored_as_the_last_use_of_the_account,
    claims_do_not_demote_the_last_administrator,
);

fn claims<'a>(subject: &'a str, email: &'a str, roles: &'a [String]) -> Claims<'a> {
    Claims {
        provider: "corp",
        issuer: "https://login.example",
        subject,
        email: Some(email),
        name: Some("Ann"),
        roles,
    }
}

fn values(roles: &[&str]) -> Vec<String> {
    roles.iter().map(|&role| role.to_owned()).collect()
}

async fn an_operator_is_created_and_their_roles_follow_the_claims(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    // Only the first value is a role: there is no workspace `none`, and `platform_admin` has no workspace.
    let first = values(&["workspace_viewer:acme", "workspace_viewer:none", "platform_admin:acme", "other"]);
    let check = operators.operator_of_claims(&claims("s", "a@acme.example", &first), &here()).await.unwrap();
    let ClaimsCheck::SignedIn(signed_in) = check else { panic!("{check:?}") };
    let id = signed_in.operator_id().to_owned();
    let found = operators.operator(&admin(), &id).await.unwrap();
    assert_eq!(found.roles, [Role::WorkspaceViewer("acme".to_owned())]);
    assert_eq!((found.role_source.as_deref(), found.name.as_str()), (Some("oidc:corp"), "Ann"));
    assert_eq!(found.sign_in, [Way::Oidc]);
    let session = operators.start_session(&signed_in, &here()).await.unwrap().unwrap();
    let same = operators.operator_of_claims(&claims("s", "new@acme.example", &first), &here()).await.unwrap();
    assert!(matches!(same, ClaimsCheck::SignedIn(_)), "{same:?}");
    assert!(operators.session(&session.cookie).await.unwrap().is_some());
    let second = values(&["platform_admin"]);
    let raised =
        operators.operator_of_claims(&claims("s", "a@acme.example", &second), &here()).await.unwrap();
    assert!(matches!(raised, ClaimsCheck::SignedIn(by) if by.operator_id() == id));
    assert_eq!(operators.operator(&admin(), &id).await.unwrap().roles, [Role::PlatformAdmin]);
    assert!(operators.session(&session.cookie).await.unwrap().is_none(), "a change of roles ends sessions");
    let change = OperatorChange { roles: Member::Value(acme_admin()), ..OperatorChange::default() };
    let refused = operators.change_operator(&admin(), &id, &Precondition::None, &change).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let renamed = OperatorChange { name: Member::Value("B".to_owned()), ..OperatorChange::default() };
    operators.change_operator(&admin(), &id, &Precondition::None, &renamed).await.unwrap();
    let by_hand = created(&services, "b@acme.example", acme_admin()).await.operator.operator_id;
    let events = audited(&services, "operator.created").await;
    let [(actor, target, detail), (_, other, detail_by_hand)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((actor.as_str(), target, other), ("oidc:corp", &id, &by_hand));
    let members = |detail: &Value| detail.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(detail), members(detail_by_hand), "both events have the same members");
}

async fn claims_without_a_role_or_with_the_address_of_another_are_refused(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    created(&services, "a@acme.example", acme_admin()).await;
    let (none, some) =
        (values(&["admin", "workspace_admin", "workspace_admin:none"]), values(&["platform_admin"]));
    let no_email = Claims { email: None, ..claims("s", "", &some) };
    for (claims, expected) in [
        (claims("s", "s@acme.example", &none), ClaimsCheck::NoRole),
        (claims("s", "s@acme.example", &[]), ClaimsCheck::NoRole),
        (claims("s", "A@ACME.example", &some), ClaimsCheck::EmailTaken),
        (claims("s", "not an address", &some), ClaimsCheck::NoEmail),
        (no_email, ClaimsCheck::NoEmail),
    ] {
        assert_eq!(operators.operator_of_claims(&claims, &here()).await.unwrap(), expected, "{claims:?}");
    }
    let viewer = values(&["workspace_viewer:acme"]);
    let check = operators.operator_of_claims(&claims("t", "t@acme.example", &viewer), &here()).await.unwrap();
    let ClaimsCheck::SignedIn(signed_in) = check else { panic!("{check:?}") };
    let disabled =
        OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    operators
        .change_operator(&admin(), signed_in.operator_id(), &Precondition::None, &disabled)
        .await
        .unwrap();
    let check = operators.operator_of_claims(&claims("t", "t@acme.example", &some), &here()).await.unwrap();
    assert_eq!(check, ClaimsCheck::Disabled);
}

async fn an_operator_linked_by_hand_keeps_their_roles(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let session = signed_in(&services, "a@acme.example", acme_admin(), 1).await.session;
    let account = WayIn::Identity {
        issuer: "https://login.example".to_owned(),
        subject: "s".to_owned(),
        provider: "corp".to_owned(),
    };
    operators.add_way_in(&session, account, &here()).await.unwrap();
    let admin_role = values(&["platform_admin"]);
    let check =
        operators.operator_of_claims(&claims("s", "x@acme.example", &admin_role), &here()).await.unwrap();
    assert!(matches!(check, ClaimsCheck::SignedIn(_)), "{check:?}");
    let found = operators.operator(&admin(), &session.operator.operator_id).await.unwrap();
    assert_eq!(found.roles, acme_admin());
}

async fn only_the_provider_that_created_an_operator_sets_their_roles(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (viewer, platform) = (values(&["workspace_viewer:acme"]), values(&["platform_admin"]));
    let sign_in = async |claims: &Claims<'_>| {
        let check = operators.operator_of_claims(claims, &here()).await.unwrap();
        let ClaimsCheck::SignedIn(signed_in) = check else { panic!("{check:?}") };
        let found = operators.operator(&admin(), signed_in.operator_id()).await.unwrap();
        (signed_in, found.roles, found.role_source)
    };
    let source = Some("oidc:corp".to_owned());
    let (first, ..) = sign_in(&claims("s", "a@acme.example", &viewer)).await;
    let session = operators.start_session(&first, &here()).await.unwrap().unwrap().session;
    let account = WayIn::Identity {
        issuer: "https://partner.example".to_owned(),
        subject: "s".to_owned(),
        provider: "partner".to_owned(),
    };
    operators.add_way_in(&session, account, &here()).await.unwrap();
    let partner = Claims {
        provider: "partner",
        issuer: "https://partner.example",
        ..claims("s", "a@acme.example", &platform)
    };
    for roles in [&platform[..], &[]] {
        let (same, kept, set_by) = sign_in(&Claims { roles, ..partner }).await;
        assert_eq!(same.operator_id(), first.operator_id());
        assert_eq!((kept, &set_by), (vec![Role::WorkspaceViewer("acme".to_owned())], &source));
    }
    // The account is found by its issuer and subject, so its claims set the roles even after the settings rename the provider.
    let renamed = Claims { provider: "sso", ..claims("s", "a@acme.example", &platform) };
    assert_eq!(sign_in(&renamed).await.1, [Role::PlatformAdmin]);
}

async fn each_sign_in_is_stored_as_the_last_use_of_the_account(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let viewer = values(&["workspace_viewer:acme"]);
    let claims = claims("s", "a@acme.example", &viewer);
    for day in 0..3 {
        let check = operators.operator_of_claims(&claims, &here()).await.unwrap();
        let ClaimsCheck::SignedIn(signed_in) = check else { panic!("{check:?}") };
        let session = operators.start_session(&signed_in, &here()).await.unwrap().unwrap().session;
        let identities = operators.ways_in(&session).await.unwrap().identities;
        assert_eq!(identities[0].last_used_at, Some(START + day * 86_400), "day {day}");
        place.clock.advance(86_400);
    }
    // A refused sign-in does not count as a use.
    let none = Claims { roles: &[], ..claims };
    assert_eq!(operators.operator_of_claims(&none, &here()).await.unwrap(), ClaimsCheck::NoRole);
    let storage = place.storage().await;
    let identity = storage.identity("https://login.example", "s").await.unwrap().unwrap();
    assert_eq!(identity.last_used_at, Some(START + 2 * 86_400));
}

async fn claims_do_not_demote_the_last_administrator(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let (platform, viewer) = (values(&["platform_admin"]), values(&["workspace_viewer:acme"]));
    let sign_in = async |roles: &[String]| {
        let check =
            operators.operator_of_claims(&claims("s", "a@acme.example", roles), &here()).await.unwrap();
        let ClaimsCheck::SignedIn(signed_in) = check else { panic!("{check:?}") };
        operators.operator(&admin(), signed_in.operator_id()).await.unwrap()
    };
    let before = sign_in(&platform).await;
    let session = {
        let check = operators.operator_of_claims(&claims("s", "a@acme.example", &platform), &here()).await;
        let ClaimsCheck::SignedIn(signed_in) = check.unwrap() else { panic!() };
        operators.start_session(&signed_in, &here()).await.unwrap().unwrap()
    };
    // Nobody else could administer the platform, so the operator signs in and keeps the role.
    let kept = sign_in(&viewer).await;
    assert_eq!((&kept.roles, kept.version), (&before.roles, before.version));
    assert!(operators.session(&session.cookie).await.unwrap().is_some(), "nothing has changed");
    assert_eq!(audited(&services, "operator.updated").await, []);
    // The operator also keeps the role if there is a second administrator who cannot sign in yet.
    let other = created(&services, "b@acme.example", vec![Role::PlatformAdmin]).await;
    assert_eq!(sign_in(&viewer).await.roles, [Role::PlatformAdmin]);
    set_up(&services, &other, 1).await;
    assert_eq!(sign_in(&viewer).await.roles, [Role::WorkspaceViewer("acme".to_owned())]);
}
