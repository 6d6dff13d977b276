//! `/console` leads to the API clients of the only workspace beside that of the platform, or to the list of workspaces, where
//! the operator chooses one.

use actix_web::HttpResponse;

use crate::console::page::see_other;
use crate::console::session::SignedIn;
use crate::console::stop::Stop;
use crate::kernel::{Error, Reader};
use crate::model::page::Page;
use crate::model::workspace::{PLATFORM, Workspace};

/// `GET /console`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    // Three are enough to know whether there is more than one beside the workspace of the platform.
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

/// The workspaces that the operator may look at; for a platform administrator the first `limit` of all.
async fn workspaces(signed_in: &SignedIn, limit: u32) -> Result<Vec<Workspace>, Stop> {
    if signed_in.is_platform_admin() {
        let reader = Reader::try_from(signed_in.caller(None).await?)?;
        return Ok(signed_in.door.services.tenants.workspaces(&reader, &Page::first(limit)).await?.items);
    }
    let mut found = Vec::new();
    for id in signed_in.own_workspaces() {
        match signed_in.enter(id).await {
            Ok(inside) => found.push(inside.workspace),
            Err(Error::NotFound(_) | Error::Denied(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}
