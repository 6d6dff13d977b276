//! What a page without a workspace in its path shows: the workspace that `?workspace_id=` names, or everything for a
//! platform administrator. Other operators learn nothing about what is outside their workspaces: for them a page of the
//! platform is 404, as if it did not exist.

use super::session::{Inside, SignedIn};
use super::stop::Stop;
use crate::kernel::{Caller, Error, Manager, Reader};
use crate::model::page::Page;
use crate::model::reach::Reach;
use crate::model::workspace::Workspace;

/// What a page shows.
pub(super) struct Extent {
    /// A caller that may read only what the page shows.
    pub(super) reader: Reader,
    pub(super) can_manage: bool,
    /// `None` for everything.
    pub(super) workspace: Option<Workspace>,
}

/// A workspace that a page lets people choose.
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) name: String,
    /// Whether the page is about this workspace.
    pub(super) is_here: bool,
}

/// The workspaces that a page lets people choose.
#[derive(Default)]
pub(super) struct Choices {
    pub(super) listed: Vec<Choice>,
    /// Whether there are more than are listed.
    pub(super) has_more: bool,
}

impl Choices {
    /// Whether there is nothing to choose.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

impl Extent {
    /// The id of the workspace; empty for everything.
    pub(super) fn workspace_id(&self) -> &str {
        self.workspace.as_ref().map_or("", |workspace| &workspace.workspace_id)
    }
}

impl SignedIn {
    /// A caller that reads everything.
    ///
    /// # Errors
    /// 404 for anybody but a platform administrator.
    pub(super) async fn platform(&self) -> Result<Reader, Stop> {
        if !self.is_platform_admin() {
            return Err(Stop::not_found());
        }
        Ok(Reader::try_from(self.caller(None).await?)?)
    }

    /// A caller that changes everything.
    ///
    /// # Errors
    /// 404 for anybody but a platform administrator.
    pub(super) async fn platform_manager(&self) -> Result<Manager, Stop> {
        Ok(Manager::try_from(Caller::clone(&*self.platform().await?))?)
    }

    /// What a page shows. `workspace_id` is the one in its address; empty if the address names no workspace.
    ///
    /// # Errors
    /// 303 to the operator's first workspace, if the address names none and they are no platform administrator; 404 without
    /// a role in the named workspace; 403 if it is suspended.
    pub(super) async fn extent(&self, workspace_id: &str) -> Result<Extent, Stop> {
        if !workspace_id.is_empty() {
            let Inside { workspace, reader, can_manage } = self.inside(workspace_id).await?;
            let reach = Reach::Workspace(workspace.workspace_id.clone());
            let reader = Reader::try_from(Caller { reach, ..Caller::clone(&reader) })?;
            return Ok(Extent { reader, can_manage, workspace: Some(workspace) });
        }
        if self.is_platform_admin() {
            return Ok(Extent { reader: self.platform().await?, can_manage: true, workspace: None });
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("workspace_id", &self.first_workspace().await?);
        let asked = form_urlencoded::parse(self.request.query_string().as_bytes());
        query.extend_pairs(asked.filter(|(name, _)| name != "workspace_id"));
        Err(Stop::go_to(format!("{}?{}", self.request.path(), query.finish())))
    }

    /// The workspaces that the operator may choose on a page about `here`: their own that are not suspended, with `to_manage`
    /// only those that they may change. A platform administrator may choose from the first [`Page::MAX_LIMIT`] of all, and
    /// `here`. Empty if there is only one.
    ///
    /// # Errors
    /// 503 if the database cannot be reached.
    pub(super) async fn choices(&self, here: &str, to_manage: bool) -> Result<Choices, Stop> {
        let (mut found, mut has_more) = (Vec::new(), false);
        if self.is_platform_admin() {
            let (tenants, reader) = (&self.door.services.tenants, self.platform().await?);
            let first = tenants.workspaces(&reader, &Page::first(Page::MAX_LIMIT)).await?;
            (found, has_more) = (first.items, first.next_after.is_some());
            if !found.iter().any(|workspace| workspace.workspace_id == here) {
                found.push(tenants.workspace(&reader, here).await?);
            }
        } else {
            for id in self.own_workspaces() {
                match self.enter(id).await {
                    Ok(inside) if inside.can_manage || !to_manage => found.push(inside.workspace),
                    Ok(_) | Err(Error::NotFound(_) | Error::Denied(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if found.len() < 2 {
            return Ok(Choices::default());
        }
        let choice = |Workspace { workspace_id: id, name, .. }| Choice { is_here: id == here, id, name };
        Ok(Choices { listed: found.into_iter().map(choice).collect(), has_more })
    }

    /// The workspaces that the operator may choose on a page without a choice for platform administrators: it shows them
    /// everything, unless its address names a workspace.
    ///
    /// # Errors
    /// 503 if the database cannot be reached.
    pub(super) async fn own_choices(&self, extent: &Extent) -> Result<Choices, Stop> {
        if self.is_platform_admin() {
            return Ok(Choices::default());
        }
        self.choices(extent.workspace_id(), false).await
    }

    /// The operator as a caller in the first of their workspaces that is not suspended; a platform administrator as a caller
    /// everywhere.
    ///
    /// # Errors
    /// 403 if all their workspaces are suspended, 404 if they have none.
    pub(super) async fn anywhere(&self) -> Result<Caller, Stop> {
        if self.is_platform_admin() {
            return Ok(self.caller(None).await?);
        }
        Ok(self.caller(Some(&self.first_workspace().await?)).await?)
    }

    /// The first workspace that the operator has a role in and that is not suspended.
    async fn first_workspace(&self) -> Result<String, Stop> {
        let mut refused = Error::NotFound("workspace");
        for id in self.own_workspaces() {
            match self.caller(Some(id)).await {
                Ok(_) => return Ok(id.to_owned()),
                Err(error @ (Error::Denied(_) | Error::NotFound(_))) => refused = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(if matches!(refused, Error::Denied(_)) { Stop::suspended() } else { refused.into() })
    }
}
