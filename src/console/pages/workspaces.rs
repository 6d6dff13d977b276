//! `/console/workspaces`: the workspaces that an operator may look at, and `…/{w}`: the name and the limits of one of them.
//! Platform administrators create them and change everything; the administrator of a workspace changes its name.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::console::form::Form;
use crate::console::members::{self, Field, field, required};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{Inside, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{cursor, moment, notice, products};
use crate::kernel::Error;
use crate::model::page::Page;
use crate::model::product::Product;
use crate::model::workspace::{PLATFORM, Workspace};
use crate::tenants::WorkspaceChange;

const FIELDS: [Field; 5] = [
    field("workspace_id", "Id"),
    required("name", "Name", "Enter a name for the workspace"),
    field("description", "Description"),
    Field { id: "products", ..field("products_allowed", "Products") },
    field("never_expires_allowed", "Never-expiring tokens"),
];

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    after: String,
}

#[derive(Template)]
#[template(path = "workspace_list.html")]
struct ListPage {
    shell: Shell,
    is_platform_admin: bool,
    here: String,
    rows: Vec<Row>,
    is_first: bool,
    next_href: Option<String>,
}

struct Row {
    name: String,
    id: String,
    description: String,
    clients_href: Option<String>,
    settings_href: Option<String>,
    suspended: String,
    allows_never: bool,
    products: String,
}

#[derive(Template)]
#[template(path = "workspace_form.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent condition of the template")]
struct FormPage {
    shell: Shell,
    problems: Vec<Problem>,
    is_new: bool,
    is_platform_admin: bool,
    can_manage: bool,
    action: String,
    cancel: String,
    version: String,
    id: String,
    name: String,
    description: String,
    allows_never: bool,
    has_all_products: bool,
    products: Vec<Choice>,
    facts: Vec<(&'static str, String)>,
    suspended: Option<String>,
    is_built_in: bool,
}

struct Choice {
    code: String,
    name: String,
    is_set: bool,
}

/// `GET /console/workspaces`
pub(crate) async fn get(signed_in: SignedIn, asked: Query<Asked>) -> Result<HttpResponse, Stop> {
    let is_platform_admin = signed_in.is_platform_admin();
    let mut next_href = None;
    let here = signed_in.door.href("/workspaces");
    let rows = if is_platform_admin {
        let after = cursor::open(&signed_in, "workspaces", &asked.after)?;
        let reader = signed_in.platform().await?;
        let page = Page { after, ..Page::first(Page::MAX_LIMIT) };
        let found = signed_in.door.services.tenants.workspaces(&reader, &page).await?;
        next_href = found
            .next_after
            .map(|after| format!("{here}?after={}", cursor::seal(&signed_in, "workspaces", &after)));
        found.items.into_iter().map(|workspace| row(&signed_in, workspace)).collect()
    } else {
        own(&signed_in).await?
    };
    ok(&ListPage {
        shell: notice::noticed(signed_in.shell("Workspaces").below("Settings", None), &signed_in.request),
        is_platform_admin,
        rows,
        is_first: asked.after.is_empty(),
        next_href,
        here,
    })
}

/// The workspaces of an operator who is no platform administrator. A suspended workspace has no links: only platform
/// administrators can look into it.
async fn own(signed_in: &SignedIn) -> Result<Vec<Row>, Stop> {
    let mut rows = Vec::new();
    for id in signed_in.own_workspaces() {
        let reader = match signed_in.caller(Some(id)).await {
            Ok(caller) => crate::kernel::Reader::try_from(caller)?,
            Err(Error::Denied(_)) => {
                rows.push(Row {
                    name: id.to_owned(),
                    id: id.to_owned(),
                    description: String::new(),
                    clients_href: None,
                    settings_href: None,
                    suspended: "ask a platform administrator to make it active again".to_owned(),
                    allows_never: false,
                    products: String::new(),
                });
                continue;
            }
            Err(Error::NotFound(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        rows.push(row(signed_in, signed_in.door.services.tenants.workspace(&reader, id).await?));
    }
    Ok(rows)
}

fn row(signed_in: &SignedIn, workspace: Workspace) -> Row {
    let settings = href(signed_in, &workspace.workspace_id);
    Row {
        clients_href: Some(format!("{settings}/api-clients")),
        settings_href: Some(settings),
        suspended: workspace.suspended_at.map(|at| format!("since {}", moment::day(at))).unwrap_or_default(),
        allows_never: workspace.never_expires_allowed,
        products: match workspace.products_allowed.as_deref() {
            None => "All".to_owned(),
            Some([]) => "None".to_owned(),
            Some(codes) => codes.join(", "),
        },
        description: workspace.description.unwrap_or_default(),
        name: workspace.name,
        id: workspace.workspace_id,
    }
}

/// `GET /console/workspaces/new`
pub(crate) async fn get_new(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    signed_in.platform().await?;
    let typed = Form::from([("never_expires_allowed", "yes"), ("products", "all")]);
    ok(&new_page(&signed_in, &typed, Vec::new()).await?)
}

/// `POST /console/workspaces/new`
pub(crate) async fn post_new(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let id = Some(form.trimmed("workspace_id").to_owned()).filter(|id| !id.is_empty());
    let tenants = &signed_in.door.services.tenants;
    let problems = match tenants.create_workspace(&manager, &id.into(), &change(&form, None), None).await {
        Ok(made) => {
            let clients = format!("{}/api-clients", href(&signed_in, &made.workspace_id));
            return Ok(see_other(&format!("{clients}?done=workspace-created")));
        }
        Err(Error::Invalid(errors)) => members::problems(&errors, &FIELDS, &form),
        Err(Error::Conflict(why)) => vec![Problem::of("workspace_id", why)],
        Err(error) => return Err(error.into()),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&signed_in, &form, problems).await?)
}

/// `GET /console/workspaces/{w}`
pub(crate) async fn get_one(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let inside = signed_in.inside(&path).await?;
    let typed = form_of(&inside.workspace);
    let mut form_page = form_page(&signed_in, &inside, &typed, Vec::new()).await?;
    form_page.shell = notice::noticed(form_page.shell, &signed_in.request);
    ok(&form_page)
}

/// `POST /console/workspaces/{w}`
pub(crate) async fn post_one(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let inside = signed_in.inside(&path).await?;
    let manager = inside.manager()?;
    let here = href(&signed_in, &inside.workspace.workspace_id);
    let tenants = &signed_in.door.services.tenants;
    let change = if signed_in.is_platform_admin() {
        change(&form, Some(&inside.workspace))
    } else {
        WorkspaceChange { name: Some(form.trimmed("name").to_owned()).into(), ..WorkspaceChange::default() }
    };
    let changed = tenants.change_workspace(&manager, &path, &form.version(), &change).await;
    let problems = match changed {
        Ok(after) => {
            let done = if after == inside.workspace { "unchanged" } else { "workspace-saved" };
            return Ok(see_other(&format!("{here}?done={done}")));
        }
        Err(Error::Invalid(errors)) => members::problems(&errors, &FIELDS, &form),
        Err(Error::Conflict(why)) => vec![Problem::of("products", why)],
        Err(error) => return Err(Stop::from(error).then(here, "Back to the workspace")),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &form_page(&signed_in, &inside, &form, problems).await?)
}

/// The address of the settings of a workspace.
pub(super) fn href(signed_in: &SignedIn, workspace_id: &str) -> String {
    signed_in.door.href(&format!("/workspaces/{workspace_id}"))
}

/// The change that a form of a platform administrator asks for. It sets every member but the status.
fn change(form: &Form, before: Option<&Workspace>) -> WorkspaceChange {
    let mut body = Map::new();
    let before = before.and_then(|workspace| workspace.description.as_deref());
    body.insert("name".to_owned(), form.trimmed("name").into());
    body.insert("description".to_owned(), form.text("description", before).into());
    body.insert("never_expires_allowed".to_owned(), form.has("never_expires_allowed").into());
    let products = if form.one("products") == "some" { form.all("product").collect() } else { Value::Null };
    body.insert("products_allowed".to_owned(), products);
    WorkspaceChange::read(&Value::Object(body))
}

/// The form as it is filled for a workspace.
fn form_of(workspace: &Workspace) -> Form {
    let version = workspace.version.to_string();
    let mut form = Form::from([
        ("version", version.as_str()),
        ("name", &workspace.name),
        ("description", workspace.description.as_deref().unwrap_or_default()),
        ("products", if workspace.products_allowed.is_some() { "some" } else { "all" }),
    ]);
    for code in workspace.products_allowed.iter().flatten() {
        form.push("product", code.clone());
    }
    if workspace.never_expires_allowed {
        form.push("never_expires_allowed", "yes");
    }
    form
}

/// A check box for every product, and for each deleted product that is still allowed.
fn choices(all: Vec<Product>, typed: &Form) -> Vec<Choice> {
    let mut set: BTreeSet<&str> = typed.all("product").collect();
    let mut choices: Vec<Choice> = all
        .into_iter()
        .map(|product| Choice {
            is_set: set.remove(product.product.as_str()),
            name: product.name,
            code: product.product,
        })
        .collect();
    // The codes that are left have no product any more.
    choices.extend(set.into_iter().map(|code| Choice {
        name: format!("{code} (deleted)"),
        code: code.to_owned(),
        is_set: true,
    }));
    choices
}

async fn new_page(signed_in: &SignedIn, typed: &Form, problems: Vec<Problem>) -> Result<FormPage, Stop> {
    let list = signed_in.door.href("/workspaces");
    let all = products::all(&signed_in.door.services, &signed_in.platform().await?).await?;
    let shell =
        signed_in.shell("Create a workspace").below("Settings", None).below("Workspaces", list.clone());
    Ok(FormPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        is_new: true,
        is_platform_admin: true,
        can_manage: true,
        action: format!("{list}/new"),
        cancel: list,
        version: String::new(),
        id: typed.one("workspace_id").to_owned(),
        name: typed.one("name").to_owned(),
        description: typed.one("description").to_owned(),
        allows_never: typed.has("never_expires_allowed"),
        has_all_products: typed.one("products") != "some",
        products: choices(all, typed),
        facts: Vec::new(),
        suspended: None,
        is_built_in: false,
    })
}

async fn form_page(
    signed_in: &SignedIn,
    inside: &Inside,
    typed: &Form,
    problems: Vec<Problem>,
) -> Result<FormPage, Stop> {
    let Inside { workspace, reader, can_manage } = inside;
    let is_platform_admin = signed_in.is_platform_admin();
    let all = products::all(&signed_in.door.services, reader).await?;
    let mut facts = vec![("Id", workspace.workspace_id.clone())];
    if !is_platform_admin {
        let names = products::names(&signed_in.door.services, reader).await?;
        let allowed = workspace.products_allowed.as_ref();
        facts.extend([
            ("Name", workspace.name.clone()),
            ("Description", workspace.description.clone().unwrap_or_default()),
            (
                "Products",
                allowed.map_or_else(|| "All".to_owned(), |codes| products::shown(codes, &names).join(", ")),
            ),
            (
                "Never-expiring tokens",
                if workspace.never_expires_allowed { "Allowed" } else { "Not allowed" }.to_owned(),
            ),
        ]);
        facts.retain(|(name, value)| !value.is_empty() && (*name != "Name" || !can_manage));
    }
    let list = signed_in.door.href("/workspaces");
    let shell = signed_in
        .shell_in(workspace, &format!("Workspace {}", workspace.name))
        .below("Settings", None)
        .below("Workspaces", list.clone());
    Ok(FormPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        is_new: false,
        is_platform_admin,
        can_manage: *can_manage,
        action: href(signed_in, &workspace.workspace_id),
        cancel: list,
        version: typed.one("version").to_owned(),
        id: workspace.workspace_id.clone(),
        name: typed.one("name").to_owned(),
        description: typed.one("description").to_owned(),
        allows_never: typed.has("never_expires_allowed"),
        has_all_products: typed.one("products") != "some",
        products: choices(all, typed),
        facts,
        suspended: workspace.suspended_at.map(moment::exact),
        is_built_in: workspace.workspace_id == PLATFORM,
    })
}
