//! `/console/webhooks`: the webhooks of a workspace, which get the events of what happens in it. Its administrators create and
//! change them, its viewers see them. A platform administrator begins with the webhooks of the platform.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::webhook::{find, href};
use super::webhook_secret::ShownKeys;
use crate::console::extent::Choices;
use crate::console::form::Form;
use crate::console::members::{self, Field, field, required};
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{Inside, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{moment, notice, reveal_flow};
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::page::Page;
use crate::model::webhook::{MAX_WEBHOOKS, Webhook};
use crate::model::workspace::PLATFORM;
use crate::webhooks::{CreatedWebhook, WebhookChange};

const FIELDS: [Field; 3] = [
    required("url", "URL", "Enter the URL that requests go to"),
    field("events", "Events"),
    field("description", "Description"),
];

const URL_HINT: &str = "Where requests go, over https, such as https://hooks.example.com/mintmark. All who see the webhook see the URL.";

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    workspace_id: String,
}

#[derive(Template)]
#[template(path = "webhook_list.html")]
struct ListPage {
    shell: Shell,
    workspace: String,
    is_platform: bool,
    new_href: Option<String>,
    /// Whether the workspace may have one more webhook.
    has_room: bool,
    most: usize,
    rows: Vec<Row>,
    choices: Choices,
    action: String,
}

struct Row {
    href: String,
    url: String,
    description: String,
    events: String,
    is_active: bool,
    why: String,
    /// Empty while its deliveries succeed.
    failing_since: String,
}

#[derive(Template)]
#[template(path = "webhook_form.html")]
struct FormPage {
    shell: Shell,
    problems: Vec<Problem>,
    action: String,
    cancel: String,
    nonce: String,
    /// The workspaces that a new webhook may belong to.
    choices: Choices,
    url_hint: &'static str,
    /// The version of the webhook that is changed; empty for a new webhook.
    version: String,
    url: String,
    events: String,
    description: String,
}

/// `GET /console/webhooks`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let inside = place(&signed_in, asked.workspace_id.trim()).await?;
    let services = &signed_in.door.services;
    let id = &inside.workspace.workspace_id;
    let found = services.webhooks.webhooks(&inside.reader, id, &Page::first(Page::MAX_LIMIT)).await?;
    let now = services.clock().now();
    let shell = signed_in.shell_in(&inside.workspace, "Webhooks").below("Settings", None);
    ok(&ListPage {
        shell: notice::noticed(shell, &signed_in.request),
        is_platform: id == PLATFORM,
        new_href: inside.can_manage.then(|| signed_in.door.href(&format!("/webhooks/new?workspace_id={id}"))),
        has_room: found.items.len() < MAX_WEBHOOKS,
        most: MAX_WEBHOOKS,
        rows: found.items.iter().map(|webhook| row(&signed_in, webhook, now)).collect(),
        choices: signed_in.choices(id, false).await?,
        action: signed_in.door.href("/webhooks"),
        workspace: inside.workspace.name,
    })
}

/// The workspace that an address names. If it names none, a platform administrator gets the workspace of the platform, and
/// other operators are redirected to the same page of their own workspace.
async fn place(signed_in: &SignedIn, workspace_id: &str) -> Result<Inside, Stop> {
    if !workspace_id.is_empty() {
        return signed_in.inside(workspace_id).await;
    }
    if signed_in.is_platform_admin() {
        return signed_in.inside(PLATFORM).await;
    }
    // For other operators `extent` always fails, with a redirect or because no workspace is open to them. The last line never
    // runs.
    let extent = signed_in.extent("").await?;
    signed_in.inside(extent.workspace_id()).await
}

fn row(signed_in: &SignedIn, webhook: &Webhook, now: UnixSeconds) -> Row {
    Row {
        href: href(signed_in, &webhook.webhook_id),
        url: webhook.url.clone(),
        description: webhook.description.clone().unwrap_or_default(),
        events: events(webhook),
        is_active: webhook.disabled.is_none(),
        why: webhook.disabled.map(super::webhook::why).unwrap_or_default().to_owned(),
        failing_since: webhook.failing_since.map(|at| moment::ago(now, at)).unwrap_or_default(),
    }
}

/// A host as people write it: without the default port of https.
pub(super) fn shown_host(host: &str) -> String {
    host.strip_suffix(":443").unwrap_or(host).to_owned()
}

/// The events of a webhook in words.
pub(super) fn events(webhook: &Webhook) -> String {
    webhook.events.patterns().map_or_else(
        || "all but status_list.changed and audit.checkpoint".to_owned(),
        |names| names.join(", "),
    )
}

/// `GET /console/webhooks/new`
pub(crate) async fn get_new(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let inside = place(&signed_in, asked.workspace_id.trim()).await?;
    inside.manager()?;
    let nonce = Nonce::new(&signed_in, UseCase::CreateWebhook)?;
    ok(&new_page(&signed_in, &inside, &nonce, &Form::default(), Vec::new()).await?)
}

/// `POST /console/webhooks/new`
pub(crate) async fn post_new(sent: Submitted, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    // If the operator may choose among several workspaces, the form names the chosen one; the address names that of the page.
    let chosen = Some(form.trimmed("workspace_id")).filter(|id| !id.is_empty());
    let inside = place(&signed_in, chosen.unwrap_or_else(|| asked.workspace_id.trim())).await?;
    let manager = inside.manager()?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::CreateWebhook)?;
    let (webhooks, wanted) = (&signed_in.door.services.webhooks, change(&form, None));
    let render = |created: &CreatedWebhook| ShownKeys::of(&created.webhook, &created.signing_secret).bytes();
    let subject = |created: &CreatedWebhook| created.webhook.webhook_id.clone();
    let id = &inside.workspace.workspace_id;
    let made = reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save| {
        webhooks.create_webhook(&manager, id, &wanted, Some(save)).await
    });
    let problems = match made.await {
        Ok(shown) => return Ok(shown),
        Err(Error::Invalid(errors)) => members::problems(&errors, &FIELDS, &form),
        Err(Error::Conflict(why)) => vec![Problem::general(why)],
        Err(error) => return Err(error.into()),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&signed_in, &inside, &nonce, &form, problems).await?)
}

/// `GET /console/webhooks/{id}/edit`
pub(crate) async fn get_edit(signed_in: SignedIn, id: Path<String>) -> Result<HttpResponse, Stop> {
    let (inside, webhook) = find(&signed_in, &id).await?;
    inside.manager()?;
    ok(&edit_page(&signed_in, &inside, &webhook, &form_of(&webhook), Vec::new()))
}

/// `POST /console/webhooks/{id}/edit`
pub(crate) async fn post_edit(sent: Submitted, id: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let (inside, webhook) = find(&signed_in, &id).await?;
    let manager = inside.manager()?;
    let webhooks = &signed_in.door.services.webhooks;
    let changed =
        webhooks.change_webhook(&manager, &id, &form.version(), &change(&form, Some(&webhook))).await;
    let problems = match changed {
        Ok(after) => {
            let done = if after == webhook { "unchanged" } else { "webhook-saved" };
            return Ok(see_other(&format!("{}?done={done}", href(&signed_in, &id))));
        }
        Err(Error::Invalid(errors)) => members::problems(&errors, &FIELDS, &form),
        Err(error) => return Err(Stop::from(error).then(href(&signed_in, &id), "Back to the webhook")),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &edit_page(&signed_in, &inside, &webhook, &form, problems))
}

/// The change that a form asks for. It sets every member but the status.
fn change(form: &Form, before: Option<&Webhook>) -> WebhookChange {
    let mut body = Map::new();
    body.insert("url".to_owned(), form.trimmed("url").into());
    let patterns = form.entries("events");
    body.insert("events".to_owned(), if patterns.is_empty() { Value::Null } else { patterns.into() });
    let before = before.and_then(|webhook| webhook.description.as_deref());
    body.insert("description".to_owned(), form.text("description", before).into());
    WebhookChange::read(&Value::Object(body))
}

fn form_of(webhook: &Webhook) -> Form {
    Form::from([
        ("version", webhook.version.to_string().as_str()),
        ("url", &webhook.url),
        ("events", &webhook.events.patterns().map(|names| names.join("\n")).unwrap_or_default()),
        ("description", webhook.description.as_deref().unwrap_or_default()),
    ])
}

async fn new_page(
    signed_in: &SignedIn,
    inside: &Inside,
    nonce: &Nonce,
    typed: &Form,
    problems: Vec<Problem>,
) -> Result<FormPage, Stop> {
    let id = &inside.workspace.workspace_id;
    let list = signed_in.door.href(&format!("/webhooks?workspace_id={id}"));
    let shell = signed_in.shell_in(&inside.workspace, "Create a webhook").below("Settings", None);
    Ok(FormPage {
        action: signed_in.door.href(&format!("/webhooks/new?workspace_id={id}")),
        nonce: nonce.as_str().to_owned(),
        choices: signed_in.choices(id, true).await?,
        ..form_page(shell.below("Webhooks", list.clone()), list, typed, problems)
    })
}

fn edit_page(
    signed_in: &SignedIn,
    inside: &Inside,
    webhook: &Webhook,
    typed: &Form,
    problems: Vec<Problem>,
) -> FormPage {
    let here = href(signed_in, &webhook.webhook_id);
    let list = signed_in.door.href(&format!("/webhooks?workspace_id={}", inside.workspace.workspace_id));
    let shell = signed_in.shell_in(&inside.workspace, "Change a webhook").below("Settings", None);
    let shell = shell.below("Webhooks", list).below(shown_host(&webhook.host), here.clone());
    FormPage { action: format!("{here}/edit"), ..form_page(shell, here, typed, problems) }
}

fn form_page(shell: Shell, cancel: String, typed: &Form, problems: Vec<Problem>) -> FormPage {
    FormPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        action: String::new(),
        cancel,
        nonce: String::new(),
        choices: Choices::default(),
        url_hint: URL_HINT,
        version: typed.one("version").to_owned(),
        url: typed.one("url").to_owned(),
        events: typed.one("events").to_owned(),
        description: typed.one("description").to_owned(),
    }
}
