//! What an operator can see and do in the other services, as a caller with a reach and permissions.

use mintmark::clients::{ClientChange, ClientFilter, ClientSort, NewSecret};
use mintmark::issuance::NewToken;
use mintmark::kernel::{Caller, Error, Manager, Precondition, Reader};
use mintmark::ledger::AuditFilter;
use mintmark::model::audit::Actor;
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::model::page::Page;
use mintmark::model::reach::Reach;
use mintmark::model::scope::Permission;
use mintmark::operators::OperatorChange;
use mintmark::services::Services;
use mintmark::tenants::WorkspaceChange;
use mintmark::tokens::{ListedTokens, TokenFilter};

use super::{acme_admin, here, signed_in, staffed};
use crate::services::{admin, wanted};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_caller_has_the_reach_and_the_permissions_of_its_roles,
    a_suspended_or_deleted_workspace_and_a_disabled_operator_are_refused,
    an_operator_sees_what_a_client_with_the_same_permissions_sees,
);

async fn a_caller_has_the_reach_and_the_permissions_of_its_roles(engine: Engine) {
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

async fn a_suspended_or_deleted_workspace_and_a_disabled_operator_are_refused(engine: Engine) {
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

/// The ids of an API client of `acme` (`own`) and of one of `other` (`foreign`), of their secrets, and of a token of `foreign`.
struct Objects {
    own: String,
    own_secret: String,
    foreign: String,
    foreign_secret: String,
    foreign_jti: String,
}

impl Objects {
    async fn create(services: &Services) -> Self {
        let made = async |workspace: &str| {
            let change = wanted("ERP", &["gst"]);
            let made = services.clients.create_client(&admin(), workspace, &change, None).await.unwrap();
            let client_id = made.record.client.client_id;
            let token =
                services.issuer.generate(&admin(), &client_id, &NewToken::default(), None).await.unwrap();
            let secrets =
                services.clients.secrets(&admin(), &client_id, &Page::first(10)).await.unwrap().items;
            (client_id, secrets[0].secret_id.clone(), token.jti)
        };
        let (own, own_secret, _) = made("acme").await;
        let (foreign, foreign_secret, foreign_jti) = made("other").await;
        Self { own, own_secret, foreign, foreign_secret, foreign_jti }
    }
}

/// What the services answer to a caller, as text: one entry for each call.
async fn seen(services: &Services, at: &Objects, caller: &Caller) -> Vec<(&'static str, String)> {
    let (clients, tokens, tenants) = (&services.clients, &services.tokens, &services.tenants);
    let (page, any) = (&Page { count: true, ..Page::first(50) }, &Precondition::None);
    let mut seen = Vec::new();
    match Reader::try_from(caller.clone()) {
        Err(error) => seen.push(("read", error.to_string())),
        Ok(reader) => {
            let (reader, sort) = (&reader, ClientSort::default());
            seen.push(("workspaces", format!("{:?}", tenants.workspaces(reader, page).await)));
            for id in ["acme", "other", "none", "platform"] {
                seen.push(("workspace", format!("{id}: {:?}", tenants.workspace(reader, id).await)));
                let listed = clients.clients(reader, Some(id), &ClientFilter::default(), sort, page).await;
                seen.push(("clients of", format!("{id}: {listed:?}")));
            }
            seen.push(("products", format!("{:?}", tenants.products(reader, page).await)));
            let listed = clients.clients(reader, None, &ClientFilter::default(), sort, page).await;
            seen.push(("clients", format!("{listed:?}")));
            for id in [&at.own, &at.foreign] {
                seen.push(("client", format!("{:?}", clients.client(reader, id).await)));
                seen.push(("secrets", format!("{:?}", clients.secrets(reader, id, page).await)));
                seen.push(("tokens", format!("{:?}", tokens.access_tokens(reader, id, page).await)));
            }
            seen.push((
                "token",
                format!("{:?}", tokens.access_token(reader, &at.foreign, &at.foreign_jti).await),
            ));
            let all = TokenFilter {
                client_id: None,
                expires_before: None,
                never_expires: None,
                status: ListedTokens::All,
            };
            seen.push(("all tokens", format!("{:?}", tokens.all_access_tokens(reader, &all, page).await)));
            seen.push(("keys", format!("{:?}", services.signing.signing_keys(reader, page).await)));
            let events = services.ledger.audit_events(reader, &AuditFilter::default(), page).await;
            seen.push(("audit", format!("{events:?}")));
            seen.push(("operators", format!("{:?}", services.operators.operators(reader, page).await)));
        }
    }
    match Manager::try_from(caller.clone()) {
        Err(error) => seen.push(("manage", error.to_string())),
        Ok(manager) => {
            let manager = &manager;
            // Only calls that are refused or change nothing, since new ids in the answers would differ.
            let refused = clients.create_client(manager, "none", &wanted("New", &["gst"]), None).await;
            seen.push(("create", format!("{:?}", refused.map(drop))));
            let nothing = ClientChange::default();
            let (of_own, of_foreign) = (&at.own_secret, &at.foreign_secret);
            if caller.reach == Reach::Workspace("acme".to_owned()) {
                let other = clients.create_client(manager, "other", &wanted("New", &["gst"]), None).await;
                seen.push(("create in other", format!("{:?}", other.map(drop))));
                let changed = clients.change_client(manager, &at.foreign, any, &nothing).await;
                seen.push(("change foreign", format!("{:?}", changed.map(drop))));
                let added = clients.add_secret(manager, &at.foreign, &NewSecret::default(), None).await;
                seen.push(("add foreign", format!("{:?}", added.map(drop))));
                let deleted = clients.delete_secret(manager, &at.foreign, of_foreign, true).await;
                seen.push(("delete foreign secret", format!("{deleted:?}")));
                let revoked = tokens.revoke_tokens(manager, &at.foreign).await;
                seen.push(("revoke foreign", format!("{revoked:?}")));
                let deleted = clients.delete_client(manager, &at.foreign, any).await;
                seen.push(("delete foreign", format!("{deleted:?}")));
                seen.push((
                    "delete workspace",
                    format!("{:?}", tenants.delete_workspace(manager, "other", any).await),
                ));
                seen.push((
                    "delete product",
                    format!("{:?}", tenants.delete_product(manager, "gst", any).await),
                ));
            }
            let last = clients.delete_secret(manager, &at.own, of_own, false).await;
            seen.push(("delete last secret", format!("{last:?}")));
            let changed = clients.change_client(manager, &at.own, any, &nothing).await;
            seen.push(("change own", format!("{:?}", changed.map(drop))));
        }
    }
    seen
}

async fn an_operator_sees_what_a_client_with_the_same_permissions_sees(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let at = Objects::create(&services).await;
    let acme = || Reach::Workspace("acme".to_owned());
    let client = |reach: Reach, permissions: &[Permission]| Caller {
        reach,
        permissions: permissions.to_vec(),
        actor: Actor { name: "client:cl_x".to_owned(), request_id: None, source_ip: None },
        client_id: Some("cl_x".to_owned()),
    };
    let other_admin = vec![Role::WorkspaceAdmin("other".to_owned())];
    let mut callers = Vec::new();
    for (id, (roles, workspace, like)) in (1..).zip([
        (vec![Role::PlatformAdmin], "acme", client(Reach::Platform, &Permission::ALL)),
        (acme_admin(), "acme", client(acme(), &[Permission::Introspect, Permission::Manage])),
        (vec![Role::WorkspaceViewer("acme".to_owned())], "acme", client(acme(), &[Permission::Read])),
        (
            other_admin,
            "other",
            client(Reach::Workspace("other".to_owned()), &[Permission::Introspect, Permission::Manage]),
        ),
    ]) {
        let session = signed_in(&services, &format!("{id}@acme.example"), roles, id).await.session;
        let caller = services.operators.caller(&session, Some(workspace), &here()).await.unwrap();
        callers.push((session, caller, like));
    }
    for (_, caller, like) in &callers {
        let (as_operator, as_client) = (seen(&services, &at, caller).await, seen(&services, &at, like).await);
        assert!(as_operator.len() > 10, "{as_operator:?}");
        assert_eq!(as_operator, as_client, "{:?}", caller.permissions);
        // No answer shows an object of another workspace. The id of another workspace gets the same answer as an id that no
        // workspace has.
        if caller.reach == acme() {
            let text = format!("{as_operator:?}");
            let of_other = [
                "workspace_id: \\\"other",
                "Some(\\\"other",
                &at.foreign,
                &at.foreign_secret,
                &at.foreign_jti,
            ];
            assert!(of_other.iter().all(|of_other| !text.contains(of_other)), "{text}");
            let answer = |id: &str| {
                as_operator
                    .iter()
                    .filter_map(|(_, said)| said.strip_prefix(&format!("{id}: ")))
                    .collect::<Vec<_>>()
            };
            assert_eq!(answer("other"), answer("none"));
            assert!(answer("other")[0].contains("NotFound"));
        }
    }
    // A disabled operator is not a caller any more.
    let (session, ..) = &callers[1];
    let disabled =
        OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    let id = session.operator.operator_id.as_str();
    services.operators.change_operator(&admin(), id, &Precondition::None, &disabled).await.unwrap();
    for workspace in [Some("acme"), Some("other"), None] {
        let refused = services.operators.caller(session, workspace, &here()).await;
        assert!(matches!(refused, Err(Error::NotFound("operator"))), "{refused:?}");
    }
}
