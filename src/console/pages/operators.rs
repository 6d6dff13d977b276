//! `/console/operators`: the people who sign in here. They are invited, given roles, disabled and deleted by platform
//! administrators, each time after a fresh sign-in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use super::operator_link::ShownLink;
use crate::console::form::Form;
use crate::console::nonce::{Nonce, UseCase};
use crate::console::operator_form::{Place, Places, change, form_of, places, problems_of, role_words};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{SignedIn, Submitted};
use crate::console::sign_in::again::must_be_fresh;
use crate::console::stop::Stop;
use crate::console::{cursor, moment, notice, reveal_flow};
use crate::kernel::{Error, Reader};
use crate::model::clock::UnixSeconds;
use crate::model::operator::{Operator, Way};
use crate::model::page::Page;
use crate::operators::CreatedOperator;

/// How many operators a page has.
const PER_PAGE: u32 = 100;

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    after: String,
}

#[derive(Template)]
#[template(path = "operator_list.html")]
struct ListPage {
    shell: Shell,
    here: String,
    rows: Vec<Row>,
    is_first: bool,
    next_href: Option<String>,
}

struct Row {
    href: String,
    name: String,
    email: String,
    is_you: bool,
    roles: Vec<String>,
    status: &'static str,
    tone: &'static str,
    why: String,
    ways: String,
    last: String,
    last_exact: String,
}

#[derive(Template)]
#[template(path = "operator_form.html")]
struct FormPage {
    shell: Shell,
    problems: Vec<Problem>,
    action: String,
    cancel: String,
    nonce: String,
    version: String,
    email: String,
    name: String,
    is_platform_admin: bool,
    places: Vec<Place>,
    has_more: bool,
    more_admin: String,
    more_viewer: String,
    /// The operator that is changed; `None` for a new one.
    known: Option<Known>,
}

/// What the page of an operator has beside the fields that can be changed.
struct Known {
    is_disabled: bool,
    is_you: bool,
    /// The provider that sets the roles; `None` if they are set here.
    role_provider: Option<String>,
    roles: Vec<String>,
    facts: Vec<(&'static str, String)>,
    link_nonce: String,
    has_ways_in: bool,
}

/// `GET /console/operators`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let reader = signed_in.platform().await?;
    let after = cursor::open(&signed_in, "operators", &asked.after)?;
    let services = &signed_in.door.services;
    let found = services.operators.operators(&reader, &Page { after, ..Page::first(PER_PAGE) }).await?;
    let now = services.clock().now();
    let here = signed_in.door.href("/operators");
    let next_href = found
        .next_after
        .map(|after| format!("{here}?after={}", cursor::seal(&signed_in, "operators", &after)));
    ok(&ListPage {
        shell: notice::noticed(signed_in.shell("Operators").below("Settings", None), &signed_in.request),
        rows: found.items.iter().map(|operator| row(&signed_in, operator, now)).collect(),
        is_first: asked.after.is_empty(),
        next_href,
        here,
    })
}

fn row(signed_in: &SignedIn, operator: &Operator, now: UnixSeconds) -> Row {
    let required = signed_in.door.services.policy().second_factor_required;
    let (status, tone, why) = if !operator.is_active() {
        ("Disabled", "bad", "cannot sign in")
    } else if operator.has_way_in(required) {
        ("Active", "ok", "")
    } else if operator.sign_in.is_empty() {
        ("Invited", "warn", "has not used the setup link yet")
    } else {
        ("Cannot sign in", "bad", "needs a passkey or an authenticator app: make a new setup link")
    };
    let ways: Vec<&str> = operator.sign_in.iter().map(|way| way_words(*way)).collect();
    Row {
        href: href(signed_in, &operator.operator_id),
        name: operator.name.clone(),
        email: operator.email.clone(),
        is_you: is_you(signed_in, operator),
        roles: operator.roles.iter().map(role_words).collect(),
        status,
        tone,
        why: why.to_owned(),
        ways: ways.join(", "),
        last: operator.last_sign_in_at.map_or_else(|| "Never".to_owned(), |at| moment::ago(now, at)),
        last_exact: operator.last_sign_in_at.map(moment::exact).unwrap_or_default(),
    }
}

fn way_words(way: Way) -> &'static str {
    match way {
        Way::Passkey => "passkey",
        Way::Password => "password",
        Way::Totp => "authenticator app",
        Way::RecoveryCode => "recovery code",
        Way::Oidc => "sign-in provider",
    }
}

fn is_you(signed_in: &SignedIn, operator: &Operator) -> bool {
    operator.operator_id == signed_in.session.operator.operator_id
}

/// The address of an operator.
pub(super) fn href(signed_in: &SignedIn, operator_id: &str) -> String {
    signed_in.door.href(&format!("/operators/{operator_id}"))
}

/// `GET /console/operators/new`
pub(crate) async fn get_new(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let reader = signed_in.platform().await?;
    must_be_fresh(&signed_in)?;
    let nonce = Nonce::new(&signed_in, UseCase::InviteOperator)?;
    ok(&new_page(&signed_in, &reader, &nonce, &Form::default(), Vec::new()).await?)
}

/// `POST /console/operators/new`
pub(crate) async fn post_new(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    must_be_fresh(&signed_in)?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::InviteOperator)?;
    let (operators, wanted) = (&signed_in.door.services.operators, change(&form, None));
    let render = |created: &CreatedOperator| ShownLink::of(&created.operator, &created.setup_link).bytes();
    let subject = |created: &CreatedOperator| created.operator.operator_id.clone();
    let made = reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save| {
        operators.create_operator(&manager, &wanted, Some(save)).await
    });
    let problems = match made.await {
        Ok(shown) => return Ok(shown),
        Err(Error::Invalid(errors)) => problems_of(&errors, &form),
        Err(Error::Conflict(why)) => vec![Problem::of("email", why)],
        Err(error) => return Err(error.into()),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&signed_in, &manager, &nonce, &form, problems).await?)
}

/// `GET /console/operators/{id}`
pub(crate) async fn get_one(signed_in: SignedIn, id: Path<String>) -> Result<HttpResponse, Stop> {
    let (reader, operator) = find(&signed_in, &id).await?;
    must_be_fresh(&signed_in)?;
    let mut form_page = edit_page(&signed_in, &reader, &operator, &form_of(&operator), Vec::new()).await?;
    form_page.shell = notice::noticed(form_page.shell, &signed_in.request);
    ok(&form_page)
}

/// `POST /console/operators/{id}`
pub(crate) async fn post_one(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let (reader, operator) = find(&signed_in, &id).await?;
    must_be_fresh(&signed_in)?;
    let expected = form.version();
    let wanted = change(&form, Some(&operator));
    let changed = signed_in.door.services.operators.change_operator(&manager, &id, &expected, &wanted).await;
    let (status, problems) = match changed {
        Ok(after) => {
            let done = if after == operator { "unchanged" } else { "operator-saved" };
            return Ok(see_other(&format!("{}?done={done}", href(&signed_in, &id))));
        }
        Err(Error::Invalid(errors)) => (StatusCode::UNPROCESSABLE_ENTITY, problems_of(&errors, &form)),
        Err(Error::Conflict(why)) => (StatusCode::CONFLICT, vec![Problem::general(why)]),
        Err(error) => return Err(Stop::from(error).then(href(&signed_in, &id), "Back to the operator")),
    };
    page(status, &edit_page(&signed_in, &reader, &operator, &form, problems).await?)
}

/// The operator that an address names.
pub(super) async fn find(signed_in: &SignedIn, id: &str) -> Result<(Reader, Operator), Stop> {
    let reader = signed_in.platform().await?;
    let operator = signed_in.door.services.operators.operator(&reader, id).await?;
    Ok((reader, operator))
}

async fn new_page(
    signed_in: &SignedIn,
    reader: &Reader,
    nonce: &Nonce,
    typed: &Form,
    problems: Vec<Problem>,
) -> Result<FormPage, Stop> {
    let list = signed_in.door.href("/operators");
    let shell =
        signed_in.shell("Invite an operator").below("Settings", None).below("Operators", list.clone());
    let shell = Shell { has_errors: !problems.is_empty(), ..shell };
    let nonce = nonce.as_str().to_owned();
    let places = places(signed_in, reader, typed).await?;
    Ok(FormPage { action: format!("{list}/new"), nonce, ..form_page(shell, problems, list, typed, places) })
}

async fn edit_page(
    signed_in: &SignedIn,
    reader: &Reader,
    operator: &Operator,
    typed: &Form,
    problems: Vec<Problem>,
) -> Result<FormPage, Stop> {
    let list = signed_in.door.href("/operators");
    let shell = signed_in.shell(&operator.name).below("Settings", None).below("Operators", list.clone());
    let shell = Shell { has_errors: !problems.is_empty(), ..shell };
    let now = signed_in.door.services.clock().now();
    let Row { status, why, ways, last, .. } = row(signed_in, operator, now);
    let status = if why.is_empty() { status.to_owned() } else { format!("{status}: {why}") };
    let known = Known {
        is_disabled: !operator.is_active(),
        is_you: is_you(signed_in, operator),
        role_provider: operator.role_provider().map(str::to_owned),
        roles: operator.roles.iter().map(role_words).collect(),
        facts: vec![
            ("Status", status),
            ("Ways to sign in", if ways.is_empty() { "none yet".to_owned() } else { ways }),
            ("Last sign-in", last),
            ("Invited", moment::day(operator.created_at)),
        ],
        link_nonce: Nonce::new(signed_in, UseCase::SetupLink)?.as_str().to_owned(),
        has_ways_in: !operator.sign_in.is_empty(),
    };
    let places = places(signed_in, reader, typed).await?;
    let action = href(signed_in, &operator.operator_id);
    Ok(FormPage { action, known: Some(known), ..form_page(shell, problems, list, typed, places) })
}

fn form_page(shell: Shell, problems: Vec<Problem>, list: String, typed: &Form, places: Places) -> FormPage {
    FormPage {
        shell,
        problems,
        action: String::new(),
        cancel: list,
        nonce: String::new(),
        version: typed.one("version").to_owned(),
        email: typed.one("email").to_owned(),
        name: typed.one("name").to_owned(),
        is_platform_admin: typed.has("platform_admin"),
        places: places.listed,
        has_more: places.has_more,
        // Workspaces that were typed into these two fields are among the places.
        more_admin: String::new(),
        more_viewer: String::new(),
        known: None,
    }
}
