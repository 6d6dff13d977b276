//! Disabling, enabling and deleting an operator.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::operators::{find, href};
use crate::console::operator_form::role_words;
use crate::console::page::{Shell, ok, see_other};
use crate::console::session::{SignedIn, Submitted};
use crate::console::sign_in::again::must_be_fresh;
use crate::console::stop::Stop;
use crate::kernel::{Error, Precondition};
use crate::model::member::Member;
use crate::operators::OperatorChange;

#[derive(Template)]
#[template(path = "operator_delete.html")]
struct DeletePage {
    shell: Shell,
    name: String,
    email: String,
    roles: Vec<String>,
    is_you: bool,
    version: i64,
    action: String,
    back: String,
}

/// `POST /console/operators/{id}/disable`
pub(crate) async fn disable(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(&sent.signed_in, &id, "disabled").await
}

/// `POST /console/operators/{id}/enable`
pub(crate) async fn enable(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(&sent.signed_in, &id, "active").await
}

async fn set_status(signed_in: &SignedIn, id: &str, status: &str) -> Result<HttpResponse, Stop> {
    let manager = signed_in.platform_manager().await?;
    find(signed_in, id).await?;
    must_be_fresh(signed_in)?;
    let change = OperatorChange { status: Member::Value(status.to_owned()), ..OperatorChange::default() };
    let operators = &signed_in.door.services.operators;
    let changed = operators.change_operator(&manager, id, &Precondition::None, &change).await;
    changed.map_err(|error| stop(signed_in, id, error))?;
    let done = if status == "active" { "operator-enabled" } else { "operator-disabled" };
    Ok(see_other(&format!("{}?done={done}", href(signed_in, id))))
}

/// `GET /console/operators/{id}/delete`
pub(crate) async fn get_delete(signed_in: SignedIn, id: Path<String>) -> Result<HttpResponse, Stop> {
    let (_, operator) = find(&signed_in, &id).await?;
    must_be_fresh(&signed_in)?;
    let back = href(&signed_in, &id);
    ok(&DeletePage {
        shell: signed_in
            .shell("Delete an operator")
            .below("Settings", None)
            .below("Operators", signed_in.door.href("/operators"))
            .below(operator.name.clone(), back.clone()),
        roles: operator.roles.iter().map(role_words).collect(),
        is_you: operator.operator_id == signed_in.session.operator.operator_id,
        version: operator.version,
        name: operator.name,
        email: operator.email,
        action: format!("{back}/delete"),
        back,
    })
}

/// `POST /console/operators/{id}/delete`
pub(crate) async fn post_delete(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    find(&signed_in, &id).await?;
    must_be_fresh(&signed_in)?;
    let deleted = signed_in.door.services.operators.delete_operator(&manager, &id, &form.version()).await;
    deleted.map_err(|error| stop(&signed_in, &id, error))?;
    Ok(see_other(&signed_in.door.href("/operators?done=operator-deleted")))
}

fn stop(signed_in: &SignedIn, id: &str, error: Error) -> Stop {
    Stop::from(error).then(href(signed_in, id), "Back to the operator")
}
