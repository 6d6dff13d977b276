//! `/console/api-clients/{id}/edit`: the settings of a client, and below them the danger zone; `…/change`: the form that
//! changes the settings.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::client_overview::{Tab, href, shell_of, tabs};
use crate::console::client_form;
use crate::console::client_form_view::{self as view, Around, ClientFormPage};
use crate::console::form::Form;
use crate::console::page::{Problem, Shell, ok, page, see_other};
use crate::console::session::{OfClient, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{notice, products, status};
use crate::kernel::{Error, Precondition};
use crate::model::scope::Permission;

#[derive(Template)]
#[template(path = "client_settings.html")]
struct SettingsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    label: String,
    here: String,
    can_manage: bool,
    is_disabled: bool,
    ends: String,
    facts: Vec<(&'static str, String)>,
}

/// `GET /console/api-clients/{id}/edit`
pub(crate) async fn get(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    let services = &signed_in.door.services;
    let names = products::names(services, &inside.reader).await?;
    let client = &record.client;
    let here = href(&signed_in, client);
    let networks: Vec<String> = client.allowed_ips.iter().map(|network| status::shown(*network)).collect();
    let permissions: Vec<&str> =
        client.permissions.iter().map(|permission| Permission::as_str(*permission)).collect();
    let or = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
    let facts = vec![
        ("Label", client.label.clone()),
        ("Description", client.description.clone().unwrap_or_else(|| "None".to_owned())),
        ("Products", or(products::shown(&client.products, &names).join(", "), "None")),
        ("Expiration", status::expiry(client.token_expiry)),
        ("Notification email", or(client.notification_emails.join(", "), "Nobody is mailed")),
        ("Allowed addresses", or(networks.join(", "), "Any")),
        ("Active tokens", status::active_tokens(client)),
        (
            "End of the client",
            client.expires_at.map_or_else(|| "None".to_owned(), crate::console::moment::exact),
        ),
        (
            "Signing algorithm",
            client.signing_alg.map_or_else(|| "The usual one".to_owned(), |alg| alg.to_string()),
        ),
        ("Metadata", or(super::client_overview::metadata(client), "None")),
        ("Permissions", or(permissions.join(", "), "None")),
    ];
    ok(&SettingsPage {
        shell: notice::noticed(shell_of(&signed_in, &inside, client, "Settings"), &signed_in.request),
        tabs: tabs(&here, "/edit"),
        label: client.label.clone(),
        can_manage: inside.can_manage,
        is_disabled: client.disabled_at.is_some(),
        ends: super::client_end::what_ends(&signed_in, &inside, client, "end").await?,
        facts,
        here,
    })
}

/// `GET /console/api-clients/{id}/change`
pub(crate) async fn get_change(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    of_client.inside.manager()?;
    let typed = client_form::filled(&of_client.record.client);
    let version = of_client.record.client.version.to_string();
    ok(&form_page(&signed_in, &of_client, version, typed, Vec::new()).await?)
}

/// `POST /console/api-clients/{id}/change`
pub(crate) async fn post_change(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let of_client = signed_in.client(&path).await?;
    let manager = of_client.inside.manager()?;
    let client = &of_client.record.client;
    let mut problems = Vec::new();
    let change = client_form::change(&form, Some(client), &mut problems);
    let version = form.one("version").to_owned();
    let clients = &signed_in.door.services.clients;
    if problems.is_empty() {
        let expected = Precondition::Versions(version.parse().into_iter().collect());
        match clients.change_client(&manager, &client.client_id, &expected, &change).await {
            Ok(changed) => {
                let same = changed.record.client.version == client.version;
                let done = if same { "unchanged" } else { "saved" };
                return Ok(see_other(&format!("{}/edit?done={done}", href(&signed_in, client))));
            }
            Err(Error::Invalid(errors) | Error::NotSupportedYet(errors)) => {
                problems = client_form::problems_of(&errors, &form);
            }
            Err(Error::Changed) => problems.push(Problem::general(
                "Somebody else changed this client after you opened the form. Open its settings in another tab, compare, and open the form again",
            )),
            Err(error) => return Err(error.into()),
        }
    }
    page(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&signed_in, &of_client, version, form, problems).await?)
}

async fn form_page(
    signed_in: &SignedIn,
    of_client: &OfClient,
    version: String,
    typed: Form,
    problems: Vec<Problem>,
) -> Result<ClientFormPage, Stop> {
    let OfClient { record, inside } = of_client;
    let services = &signed_in.door.services;
    let products = products::all(services, &inside.reader).await?;
    let around = Around {
        inside,
        caller: &inside.reader,
        products: &products,
        never_expires_day: signed_in.door.never_expires_day.clone(),
        now: services.clock().now(),
    };
    let here = href(signed_in, &record.client);
    let shell = shell_of(signed_in, inside, &record.client, "Change");
    Ok(ClientFormPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        action: format!("{here}/change"),
        cancel: format!("{here}/edit"),
        is_new: false,
        heading: format!("Change {}", record.client.label),
        workspace: inside.workspace.name.clone(),
        nonce: String::new(),
        version,
        products: view::products(&typed, &around),
        expirations: view::expirations(&typed, &around, false),
        units: view::units(&typed),
        kinds: Vec::new(),
        ways: Vec::new(),
        permissions: view::permissions(&typed, &around),
        algs: view::algs(&typed),
        active: view::active(&typed, false),
        is_advanced_open: true,
        typed,
        problems: view::in_order(problems),
    })
}
