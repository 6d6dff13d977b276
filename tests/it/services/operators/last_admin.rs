//! The last platform administrator cannot be deleted, disabled or demoted.

use mintmark::kernel::{Error, Precondition};
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::operators::OperatorChange;

use super::{acme_admin, as_manager, created, set_up, signed_in, staffed};
use crate::services::admin;
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    the_last_administrator_is_not_removed_disabled_or_demoted,
    of_two_administrators_who_remove_each_other_one_stays,
);

fn status(status: &str) -> OperatorChange {
    OperatorChange { status: Member::Value(status.to_owned()), ..OperatorChange::default() }
}

fn roles(roles: Vec<Role>) -> OperatorChange {
    OperatorChange { roles: Member::Value(roles), ..OperatorChange::default() }
}

async fn the_last_administrator_is_not_removed_disabled_or_demoted(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let first = created(&services, "a@acme.example", vec![Role::PlatformAdmin]).await;
    let id = first.operator.operator_id.as_str();
    // An administrator who cannot sign in yet may be disabled.
    operators.change_operator(&admin(), id, &Precondition::None, &status("disabled")).await.unwrap();
    operators.change_operator(&admin(), id, &Precondition::None, &status("active")).await.unwrap();
    let link = operators.new_setup_link(&admin(), id).await.unwrap();
    operators.use_setup_link(super::token(link.url()), super::passkey(1), &super::here()).await.unwrap();
    let second = created(&services, "b@acme.example", vec![Role::PlatformAdmin]).await;
    let must_stay = async || {
        for change in [status("disabled"), roles(acme_admin())] {
            let refused = operators.change_operator(&admin(), id, &Precondition::None, &change).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "{change:?}: {refused:?}");
        }
        let refused = operators.delete_operator(&admin(), id, &Precondition::None).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    };
    // The second administrator cannot sign in yet.
    must_stay().await;
    // A change that keeps the role of a platform administrator is allowed.
    let more = roles([acme_admin(), vec![Role::PlatformAdmin]].concat());
    operators.change_operator(&admin(), id, &Precondition::None, &more).await.unwrap();
    set_up(&services, &second, 2).await;
    let other = second.operator.operator_id.as_str();
    operators.change_operator(&admin(), other, &Precondition::None, &status("disabled")).await.unwrap();
    must_stay().await;
    operators.change_operator(&admin(), other, &Precondition::None, &status("active")).await.unwrap();
    operators.delete_operator(&admin(), id, &Precondition::None).await.unwrap();
    let refused = operators.delete_operator(&admin(), other, &Precondition::None).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
}

async fn of_two_administrators_who_remove_each_other_one_stays(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let mut staying = signed_in(&services, "0@acme.example", vec![Role::PlatformAdmin], 0).await.session;
    for round in 1..=50_u8 {
        let email = format!("{round}@acme.example");
        let joining = signed_in(&services, &email, vec![Role::PlatformAdmin], round).await.session;
        let (one, other) = (&staying.operator.operator_id, &joining.operator.operator_id);
        let (by_one, by_other) =
            (as_manager(&services, &staying).await, as_manager(&services, &joining).await);
        let any = Precondition::None;
        let (disabled, demoted) = (status("disabled"), roles(acme_admin()));
        // In turn, both delete, disable or demote each other.
        let outcomes = match round % 3 {
            0 => {
                let (a, b) = tokio::join!(
                    operators.delete_operator(&by_one, other, &any),
                    operators.delete_operator(&by_other, one, &any),
                );
                [a, b]
            }
            kind => {
                let change = if kind == 1 { &disabled } else { &demoted };
                let (a, b) = tokio::join!(
                    operators.change_operator(&by_one, other, &any, change),
                    operators.change_operator(&by_other, one, &any, change),
                );
                [a.map(drop), b.map(drop)]
            }
        };
        match outcomes {
            [Ok(()), Err(Error::Conflict(_) | Error::NotFound(_))] => {}
            [Err(Error::Conflict(_) | Error::NotFound(_)), Ok(())] => staying = joining,
            outcomes => panic!("round {round}: {outcomes:?}"),
        }
        let left = operators.operator(&admin(), &staying.operator.operator_id).await.unwrap();
        assert!(left.is_active() && left.is_platform_admin(), "round {round}: {left:?}");
    }
}
