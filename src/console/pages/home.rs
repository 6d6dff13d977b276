//! `/console` leads to the API clients of a workspace; `/console/workspaces` is where to choose one.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::page::{Shell, ok, see_other};
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::kernel::Reader;
use crate::model::page::Page;
use crate::model::workspace::{PLATFORM, Workspace};

#[derive(Template)]
#[template(path = "workspaces.html")]
struct WorkspacesPage {
    shell: Shell,
    rows: Vec<Row>,
    is_platform_admin: bool,
}

struct Row {
    id: String,
    name: String,
    href: String,
    is_suspended: bool,
    description: String,
}

/// `GET /console`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let found = workspaces(&signed_in, 3).await?;
    // The platform's own workspace holds clients that administer Mintmark, which few people look for.
    let mut others = found.iter().filter(|workspace| workspace.workspace_id != PLATFORM);
    Ok(match (others.next(), others.next()) {
        (Some(only), None) => {
            see_other(&signed_in.door.href(&format!("/workspaces/{}/api-clients", only.workspace_id)))
        }
        _ => see_other(&signed_in.door.href("/workspaces")),
    })
}

/// `GET /console/workspaces`
pub(crate) async fn list(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let found = workspaces(&signed_in, Page::MAX_LIMIT).await?;
    let rows = found.into_iter().map(|workspace| Row {
        href: signed_in.door.href(&format!("/workspaces/{}/api-clients", workspace.workspace_id)),
        is_suspended: workspace.suspended_at.is_some(),
        description: workspace.description.unwrap_or_default(),
        id: workspace.workspace_id,
        name: workspace.name,
    });
    ok(&WorkspacesPage {
        rows: rows.collect(),
        is_platform_admin: signed_in.is_platform_admin(),
        shell: signed_in.shell("Workspaces").below("Settings", None),
    })
}

/// The workspaces that the operator may look at.
async fn workspaces(signed_in: &SignedIn, limit: u32) -> Result<Vec<Workspace>, Stop> {
    if signed_in.is_platform_admin() {
        let reader = Reader::try_from(signed_in.caller(None).await?)?;
        return Ok(signed_in.door.services.tenants.workspaces(&reader, &Page::first(limit)).await?.items);
    }
    let mut found = Vec::new();
    for id in signed_in.own_workspaces() {
        if let Ok(inside) = signed_in.inside(id).await {
            found.push(inside.workspace);
        }
    }
    Ok(found)
}
