//! The danger zone of a workspace, for platform administrators: suspending, resuming and deleting it. The pages that ask before
//! a suspension or a deletion say how many API clients it affects.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::workspaces::href;
use crate::clients::{ClientFilter, ClientSort};
use crate::console::moment::count;
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{Inside, SignedIn, Submitted};
use crate::console::sign_in::again::must_be_fresh;
use crate::console::stop::Stop;
use crate::kernel::{Error, Precondition};
use crate::model::member::Member;
use crate::model::page::Page;
use crate::model::workspace::{PLATFORM, Workspace};
use crate::tenants::WorkspaceChange;

#[derive(Template)]
#[template(path = "workspace_end.html")]
struct EndPage {
    shell: Shell,
    problems: Vec<Problem>,
    name: String,
    id: String,
    typed: String,
    version: i64,
    clients: u64,
    clients_words: String,
    is_deletion: bool,
    action: String,
    back: String,
    clients_href: String,
}

/// `GET /console/workspaces/{w}/suspend`
pub(crate) async fn get_suspend(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let inside = inside(&signed_in, &path).await?;
    must_not_be_built_in(&signed_in, &inside.workspace)?;
    ok(&end_page(&signed_in, &inside, false, "", Vec::new()).await?)
}

/// `POST /console/workspaces/{w}/suspend`
pub(crate) async fn post_suspend(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(&sent.signed_in, &path, "suspended").await
}

/// `POST /console/workspaces/{w}/resume`
pub(crate) async fn post_resume(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    set_status(&sent.signed_in, &path, "active").await
}

async fn set_status(signed_in: &SignedIn, workspace_id: &str, status: &str) -> Result<HttpResponse, Stop> {
    let manager = inside(signed_in, workspace_id).await?.manager()?;
    let change = WorkspaceChange { status: Member::Value(status.to_owned()), ..WorkspaceChange::default() };
    let tenants = &signed_in.door.services.tenants;
    let changed = tenants.change_workspace(&manager, workspace_id, &Precondition::None, &change).await;
    changed.map_err(|error| stop(signed_in, workspace_id, error))?;
    let done = if status == "active" { "workspace-resumed" } else { "workspace-suspended" };
    Ok(see_other(&format!("{}?done={done}", href(signed_in, workspace_id))))
}

/// `GET /console/workspaces/{w}/delete`
pub(crate) async fn get_delete(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let inside = inside(&signed_in, &path).await?;
    must_not_be_built_in(&signed_in, &inside.workspace)?;
    must_be_fresh(&signed_in)?;
    ok(&end_page(&signed_in, &inside, true, "", Vec::new()).await?)
}

/// `POST /console/workspaces/{w}/delete`
pub(crate) async fn post_delete(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let inside = inside(&signed_in, &path).await?;
    must_be_fresh(&signed_in)?;
    let typed = form.trimmed("typed");
    let problem = if typed == inside.workspace.workspace_id {
        let tenants = &signed_in.door.services.tenants;
        match tenants.delete_workspace(&inside.manager()?, &path, &form.version()).await {
            Ok(()) => return Ok(see_other(&signed_in.door.href("/workspaces?done=workspace-deleted"))),
            Err(Error::Conflict(why)) => Problem::general(why),
            Err(error) => return Err(stop(&signed_in, &path, error)),
        }
    } else {
        Problem::of("typed", format!("Type {} to delete this workspace.", inside.workspace.workspace_id))
    };
    let status =
        if problem.field.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CONFLICT };
    page(status, &end_page(&signed_in, &inside, true, typed, vec![problem]).await?)
}

async fn inside(signed_in: &SignedIn, workspace_id: &str) -> Result<Inside, Stop> {
    signed_in.platform().await?;
    signed_in.inside(workspace_id).await
}

fn must_not_be_built_in(signed_in: &SignedIn, workspace: &Workspace) -> Result<(), Stop> {
    if workspace.workspace_id != PLATFORM {
        return Ok(());
    }
    let why = "The workspace platform is built in: without it nobody could administer this service by API.";
    Err(Stop::new(StatusCode::CONFLICT, "This workspace stays", why)
        .then(href(signed_in, PLATFORM), "Back to the workspace"))
}

fn stop(signed_in: &SignedIn, workspace_id: &str, error: Error) -> Stop {
    Stop::from(error).then(href(signed_in, workspace_id), "Back to the workspace")
}

async fn end_page(
    signed_in: &SignedIn,
    inside: &Inside,
    is_deletion: bool,
    typed: &str,
    problems: Vec<Problem>,
) -> Result<EndPage, Stop> {
    let Inside { workspace, reader, .. } = inside;
    let id = &workspace.workspace_id;
    let counted = Page { count: true, ..Page::first(1) };
    let (filter, sort) = (ClientFilter::default(), ClientSort::default());
    let found = signed_in.door.services.clients.clients(reader, Some(id), &filter, sort, &counted).await?;
    let clients = found.total.unwrap_or_default();
    let back = href(signed_in, id);
    let title = if is_deletion { "Delete a workspace" } else { "Suspend a workspace" };
    let shell = signed_in
        .shell_in(workspace, title)
        .below("Settings", None)
        .below("Workspaces", signed_in.door.href("/workspaces"))
        .below(workspace.name.clone(), back.clone());
    Ok(EndPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        name: workspace.name.clone(),
        id: id.clone(),
        typed: typed.to_owned(),
        version: workspace.version,
        clients,
        clients_words: count(i64::try_from(clients).unwrap_or(i64::MAX), "API client"),
        is_deletion,
        action: format!("{back}/{}", if is_deletion { "delete" } else { "suspend" }),
        clients_href: format!("{back}/api-clients"),
        back,
    })
}
