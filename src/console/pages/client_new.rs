//! *Create API Client*: the form, the summary of what it asks for in plain words, and the creation itself.
//!
//! A valid form is kept sealed, and the reply redirects to its summary. So the summary is not the reply to a POST, and can be
//! loaded again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;

use crate::clients::CreatedClient;
use crate::console::client_form::{self, KINDS, NOT_IN_DRAFT};
use crate::console::client_form_view::{self as view, Around, ClientFormPage};
use crate::console::form::Form;
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Problem, Shell, ok, page, see_other};
use crate::console::reveal::ShownClient;
use crate::console::session::{Inside, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{products, reveal_flow, status};
use crate::kernel::{Error, Manager};
use crate::model::client::ApiClient;

/// The query of the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    draft: String,
}

#[derive(Template)]
#[template(path = "client_draft.html")]
struct DraftPage {
    shell: Shell,
    sentence: String,
    facts: Vec<Fact>,
    action: String,
    change: String,
}

/// A line of the summary. `field` is the `id` of the field in which it is changed; empty if it cannot be changed.
struct Fact {
    name: &'static str,
    value: String,
    field: &'static str,
}

/// `GET /console/workspaces/{w}/api-clients/new`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let inside = signed_in.inside(&path).await?;
    let manager = inside.manager()?;
    if let Some(nonce) = Nonce::read(&signed_in, &asked.draft) {
        if reveal_flow::is_spent(&signed_in, &manager, &nonce).await? {
            return Ok(see_other(&reveal_flow::href(&signed_in, &nonce)));
        }
        if let Some(typed) = draft(&signed_in, &manager, &nonce).await? {
            return ok(&form_page(&signed_in, &inside, &nonce, typed, Vec::new()).await?);
        }
    }
    let nonce = Nonce::new(&signed_in, UseCase::CreateClient)?;
    ok(&form_page(&signed_in, &inside, &nonce, client_form::blank(), Vec::new()).await?)
}

/// `POST /console/workspaces/{w}/api-clients/new`
pub(crate) async fn post(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let form = client_form::with_the_usual_way(form);
    let inside = signed_in.inside(&path).await?;
    let manager = inside.manager()?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::CreateClient)?;
    if reveal_flow::is_spent(&signed_in, &manager, &nonce).await? {
        return Ok(see_other(&reveal_flow::href(&signed_in, &nonce)));
    }
    if let Err(problems) = checked(&signed_in, &inside, &manager, &form).await? {
        let form_page = form_page(&signed_in, &inside, &nonce, form, problems).await?;
        return page(StatusCode::UNPROCESSABLE_ENTITY, &form_page);
    }
    let mut kept = form.without(&NOT_IN_DRAFT);
    kept.push("workspace", inside.workspace.workspace_id.clone());
    let ledger = &signed_in.door.services.ledger;
    ledger.keep_draft(&manager, nonce.use_case.as_str(), nonce.as_str(), kept.encode().as_bytes()).await?;
    Ok(see_other(&signed_in.door.href(&format!("/drafts/{}", nonce.as_str()))))
}

/// `GET /console/drafts/{nonce}`
pub(crate) async fn get_draft(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Drafted { nonce, inside, manager, form } = match drafted(&signed_in, &path).await? {
        Found::Draft(draft) => *draft,
        Found::Created(href) => return Ok(see_other(&href)),
    };
    let client = match checked(&signed_in, &inside, &manager, &form).await? {
        Ok(client) => client,
        Err(problems) => {
            let form_page = form_page(&signed_in, &inside, &nonce, form, problems).await?;
            return page(StatusCode::UNPROCESSABLE_ENTITY, &form_page);
        }
    };
    let names = products::names(&signed_in.door.services, &inside.reader).await?;
    let list = list_href(&signed_in, &inside);
    ok(&DraftPage {
        sentence: status::sentence(&client, &products::shown(&client.products, &names)),
        facts: facts(&client, &form, &inside),
        action: signed_in.door.href(&format!("/drafts/{}", nonce.as_str())),
        change: format!("{list}/new?draft={}", nonce.as_str()),
        shell: signed_in
            .shell_in(&inside.workspace, "Check before you create")
            .below("Settings", None)
            .below("Integration", None)
            .below("API Clients", list),
    })
}

/// `POST /console/drafts/{nonce}`
pub(crate) async fn create(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let Drafted { nonce, inside, manager, form } = match drafted(&signed_in, &path).await? {
        Found::Draft(draft) => *draft,
        Found::Created(href) => return Ok(see_other(&href)),
    };
    let change = client_form::change(&form, None, &mut Vec::new());
    let render = |created: &CreatedClient| ShownClient::of(created, &form).bytes();
    let subject = |created: &CreatedClient| created.record.client.client_id.clone();
    let services = &signed_in.door.services;
    let made = reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save| {
        services.clients.create_client(&manager, &inside.workspace.workspace_id, &change, Some(save)).await
    });
    match made.await {
        Ok(shown) => Ok(shown),
        // Something that the client depends on has changed since the summary was shown.
        Err(Error::Invalid(errors) | Error::NotSupportedYet(errors)) => {
            let problems = client_form::problems_of(&errors, &form);
            page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &form_page(&signed_in, &inside, &nonce, form, problems).await?,
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// A draft: a form that was kept.
struct Drafted {
    nonce: Nonce,
    inside: Inside,
    manager: Manager,
    form: Form,
}

enum Found {
    Draft(Box<Drafted>),
    /// The client was created; the page at this address shows it.
    Created(String),
}

async fn drafted(signed_in: &SignedIn, text: &str) -> Result<Found, Stop> {
    let nonce = Nonce::read(signed_in, text).filter(|nonce| nonce.use_case == UseCase::CreateClient);
    let nonce = nonce.ok_or_else(Stop::not_found)?;
    // The draft says which workspace it is for. It is kept for the operator, who is the same caller in every workspace.
    let anyone = signed_in.anywhere().await?;
    if reveal_flow::is_spent(signed_in, &anyone, &nonce).await? {
        return Ok(Found::Created(reveal_flow::href(signed_in, &nonce)));
    }
    let ledger = &signed_in.door.services.ledger;
    let Some(kept) = ledger.draft(&anyone, nonce.use_case.as_str(), nonce.as_str()).await? else {
        return Err(Stop::gone(
            "This form is no longer kept",
            "A form is kept for an hour. Nothing was created. Fill it in again.",
        ));
    };
    let form = Form::decode(&kept);
    let inside = signed_in.inside(form.one("workspace")).await?;
    let manager = inside.manager()?;
    Ok(Found::Draft(Box::new(Drafted { nonce, inside, manager, form })))
}

async fn draft(signed_in: &SignedIn, manager: &Manager, nonce: &Nonce) -> Result<Option<Form>, Stop> {
    let ledger = &signed_in.door.services.ledger;
    let kept = ledger.draft(manager, nonce.use_case.as_str(), nonce.as_str()).await?;
    Ok(kept.map(|kept| Form::decode(&kept)))
}

/// The client that a form asks for, or what is wrong with it.
async fn checked(
    signed_in: &SignedIn,
    inside: &Inside,
    manager: &Manager,
    form: &Form,
) -> Result<Result<ApiClient, Vec<Problem>>, Stop> {
    let mut problems = Vec::new();
    let change = client_form::change(form, None, &mut problems);
    let clients = &signed_in.door.services.clients;
    match clients.check_new_client(manager, &inside.workspace.workspace_id, &change).await {
        Ok(client) if problems.is_empty() => Ok(Ok(client)),
        Ok(_) => Ok(Err(problems)),
        Err(Error::Invalid(errors) | Error::NotSupportedYet(errors)) => {
            problems.extend(client_form::problems_of(&errors, form));
            Ok(Err(problems))
        }
        Err(error) => Err(error.into()),
    }
}

fn list_href(signed_in: &SignedIn, inside: &Inside) -> String {
    signed_in.door.href(&format!("/workspaces/{}/api-clients", inside.workspace.workspace_id))
}

fn facts(client: &ApiClient, form: &Form, inside: &Inside) -> Vec<Fact> {
    let fact = |name, value: String, field| Fact { name, value, field };
    let kind = KINDS.iter().find(|(kind, _)| *kind == form.one("erp")).map_or("Other", |(_, name)| name);
    let how = if form.one("how") == "paste" { "I paste one token" } else { "It asks by itself" };
    let mails = client.notification_emails.join(", ");
    let mut facts = vec![
        fact("Label", client.label.clone(), "label"),
        fact("Workspace", inside.workspace.name.clone(), ""),
        fact("Expiration", status::expiry(client.token_expiry), "expiration"),
        fact(
            "Notification email",
            if mails.is_empty() { "Nobody is mailed".to_owned() } else { mails },
            "emails",
        ),
        fact("ERP", kind.to_owned(), "erp"),
        fact("How it gets tokens", how.to_owned(), "how"),
        fact("Active tokens", status::active_tokens(client), "active_tokens"),
    ];
    if let Some(description) = &client.description {
        facts.push(fact("Description", description.clone(), "description"));
    }
    for (key, value) in &client.metadata {
        facts.push(fact("Metadata", format!("{key}={value}"), "metadata"));
    }
    if let Some(alg) = client.signing_alg {
        facts.push(fact("Signing algorithm", alg.to_string(), "signing_alg"));
    }
    if !client.permissions.is_empty() {
        let names: Vec<String> = client.permissions.iter().map(ToString::to_string).collect();
        facts.push(fact("Permissions", names.join(", "), "permissions"));
    }
    facts
}

async fn form_page(
    signed_in: &SignedIn,
    inside: &Inside,
    nonce: &Nonce,
    typed: Form,
    problems: Vec<Problem>,
) -> Result<ClientFormPage, Stop> {
    let services = &signed_in.door.services;
    let products = products::all(services, &inside.reader).await?;
    let around = Around {
        inside,
        caller: &inside.reader,
        products: &products,
        never_expires_day: signed_in.door.never_expires_day.clone(),
        now: services.clock().now(),
    };
    let list = list_href(signed_in, inside);
    let shell = signed_in
        .shell_in(&inside.workspace, "Create API Client")
        .below("Settings", None)
        .below("Integration", None)
        .below("API Clients", list.clone());
    Ok(ClientFormPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        action: format!("{list}/new"),
        cancel: list,
        is_new: true,
        heading: "Create API Client".to_owned(),
        workspace: inside.workspace.name.clone(),
        nonce: nonce.as_str().to_owned(),
        version: String::new(),
        products: view::products(&typed, &around),
        expirations: view::expirations(&typed, &around, true),
        units: view::units(&typed),
        kinds: view::kinds(&typed),
        ways: view::ways(&typed),
        permissions: view::permissions(&typed, &around),
        algs: view::algs(&typed),
        active: view::active(&typed, true),
        is_advanced_open: is_advanced(&typed),
        typed,
        problems: view::in_order(problems),
    })
}

/// Whether something below *Advanced* was filled in.
fn is_advanced(typed: &Form) -> bool {
    ["description", "allowed_ips", "signing_alg", "expires_at", "metadata"]
        .iter()
        .any(|name| !typed.trimmed(name).is_empty())
        || typed.has("permission")
        || matches!(typed.one("active_tokens"), "many" | "number" | "replace")
}
