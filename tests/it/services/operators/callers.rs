//! Who an operator is to the other services.

use mintmark::kernel::{Error, Precondition};
use mintmark::model::audit::Actor;
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::model::reach::Reach;
use mintmark::model::scope::Permission;
use mintmark::operators::OperatorChange;
use mintmark::tenants::WorkspaceChange;

use super::{acme_admin, here, signed_in, staffed};
use crate::services::admin;
use crate::support::{Engine, on_both_engines};

on_both_engines!(a_caller_has_the_reach_and_the_permissions_of_its_role, a_caller_has_the_roles_of_now);

async fn a_caller_has_the_reach_and_the_permissions_of_its_role(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let both = vec![Role::WorkspaceViewer("acme".to_owned()), Role::WorkspaceAdmin("acme".to_owned())];
    let viewer = vec![Role::WorkspaceViewer("acme".to_owned())];
    let acme = || Reach::Workspace("acme".to_owned());
    let manage = [Permission::Introspect, Permission::Manage];
    for (number, (roles, reach, permissions)) in [
        (vec![Role::PlatformAdmin], Reach::Platform, &Permission::ALL[..]),
        (acme_admin(), acme(), &manage),
        (both, acme(), &manage),
        (viewer, acme(), &[Permission::Read]),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("{number}@acme.example");
        let number = u8::try_from(number).unwrap();
        let session = signed_in(&services, &email, roles, number).await.session;
        let caller = services.operators.caller(&session, Some("acme"), &here()).await.unwrap();
        assert_eq!((&caller.reach, caller.permissions.as_slice()), (&reach, permissions), "{email}");
        let name = format!("operator:{}", session.operator.operator_id);
        assert_eq!(caller.name(), name);
        let actor =
            Actor { name, request_id: Some("r-1".to_owned()), source_ip: Some("203.0.113.7".to_owned()) };
        assert_eq!((caller.actor, caller.client_id), (actor, None));
        for workspace in [None, Some("other"), Some("none"), Some("platform"), Some("\0")] {
            let elsewhere = services.operators.caller(&session, workspace, &here()).await;
            match reach {
                Reach::Platform => assert_eq!(elsewhere.unwrap().reach, Reach::Platform),
                Reach::Workspace(_) => {
                    assert!(matches!(elsewhere, Err(Error::NotFound("workspace"))), "{elsewhere:?}");
                }
            }
        }
    }
}

async fn a_caller_has_the_roles_of_now(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let session = signed_in(&services, "a@acme.example", acme_admin(), 1).await.session;
    let workspace = |status: &str| WorkspaceChange {
        status: Member::Value(status.to_owned()),
        ..WorkspaceChange::default()
    };
    let change = async |status| {
        services
            .tenants
            .change_workspace(&admin(), "acme", &Precondition::None, &workspace(status))
            .await
            .unwrap()
    };
    change("suspended").await;
    let suspended = operators.caller(&session, Some("acme"), &here()).await;
    assert!(matches!(suspended, Err(Error::Denied(_))), "{suspended:?}");
    change("active").await;
    operators.caller(&session, Some("acme"), &here()).await.unwrap();
    services.tenants.delete_workspace(&admin(), "acme", &Precondition::None).await.unwrap();
    let deleted = operators.caller(&session, Some("acme"), &here()).await;
    assert!(matches!(deleted, Err(Error::NotFound("workspace"))), "{deleted:?}");
    let id = session.operator.operator_id.as_str();
    assert_eq!(operators.operator(&admin(), id).await.unwrap().roles, []);
    let disabled =
        OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    operators.change_operator(&admin(), id, &Precondition::None, &disabled).await.unwrap();
    let refused = operators.caller(&session, Some("other"), &here()).await;
    assert!(matches!(refused, Err(Error::NotFound("operator"))), "{refused:?}");
}
