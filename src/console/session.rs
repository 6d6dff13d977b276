//! Who is signed in: a GET takes [`SignedIn`], a POST takes [`Submitted`], which has also checked the form.
//!
//! The services get a [`Caller`] with the current roles of the operator: for one workspace, or, for a platform administrator,
//! for all. Every rule of the services applies to this caller as to an API client with the same permissions.

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;

use super::csrf::{self, Bound};
use super::door::Door;
use super::form::Form;
use super::nav;
use super::page::{Frame, Place, Shell};
use super::stop::Stop;
use super::visitor::cookie;
use crate::http::connection::PendingBody;
use crate::kernel::{Caller, Error, Manager, Reader};
use crate::model::client::ClientRecord;
use crate::model::scope::Permission;
use crate::model::workspace::Workspace;
use crate::operators::{NewSession, Session, Source};
use crate::telemetry;
use crate::telemetry::request_id::RequestId;

/// The name of the cookie over http; [`Door::cookie_name`] gives the one over https.
const COOKIE: &str = "mintmark";
/// How long a browser keeps the cookie, in seconds: as long as a session may last.
const KEPT_SECONDS: i64 = 12 * 3600;

/// A GET of a signed-in operator.
pub(crate) struct SignedIn {
    pub(super) door: Data<Door>,
    pub(super) request: HttpRequest,
    pub(super) session: Session,
}

/// A POST of a signed-in operator, with a form that was made for their session.
pub(crate) struct Submitted {
    pub(super) signed_in: SignedIn,
    pub(super) form: Form,
}

/// A workspace, and the caller that works on it.
pub(super) struct Inside {
    pub(super) workspace: Workspace,
    pub(super) reader: Reader,
    pub(super) can_manage: bool,
}

/// An API client, with its workspace.
pub(super) struct OfClient {
    pub(super) record: ClientRecord,
    pub(super) inside: Inside,
}

impl Inside {
    /// The proof that the caller may change what is here.
    ///
    /// # Errors
    /// 403 for a viewer.
    pub(super) fn manager(&self) -> Result<Manager, Stop> {
        Ok(Manager::try_from(Caller::clone(&self.reader))?)
    }
}

/// Where a request comes from, for the audit trail.
pub(super) fn source(request: &HttpRequest) -> Source {
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Source {
        ip: telemetry::http::source_ip(request),
        user_agent: user_agent.map(str::to_owned),
        request_id: Some(RequestId::of(request).as_str().to_owned()),
    }
}

/// The session of a request; `None` without a cookie, or if the session has ended.
///
/// # Errors
/// 400 if the request has an `Authorization` header beside the cookie.
pub(super) async fn find(door: &Door, request: &HttpRequest) -> Result<Option<Session>, Stop> {
    let Some(value) = cookie(request, &door.cookie_name(COOKIE)) else { return Ok(None) };
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Err(Stop::new(
            actix_web::http::StatusCode::BAD_REQUEST,
            "Two ways to say who you are",
            "The request carries an Authorization header beside the cookie of your session. Send only one of them.",
        ));
    }
    Ok(door.services.operators.session(value).await?)
}

/// Gives the browser the cookie of a session.
pub(super) fn keep(door: &Door, response: HttpResponse, new: &NewSession) -> HttpResponse {
    with_cookie(response, &door.cookie(COOKIE, &new.cookie, KEPT_SECONDS))
}

/// Removes the cookie from the browser.
pub(super) fn forget(door: &Door, response: HttpResponse) -> HttpResponse {
    with_cookie(response, &door.cookie(COOKIE, "", 0))
}

fn with_cookie(mut response: HttpResponse, line: &str) -> HttpResponse {
    if let Ok(line) = header::HeaderValue::from_str(line) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

impl SignedIn {
    async fn of(request: &HttpRequest) -> Result<Self, Stop> {
        let door = Door::of(request)?;
        let Some(session) = find(&door, request).await? else {
            return Err(Stop::go_to(to_sign_in(&door, request)));
        };
        let signed_in = Self { door, request: request.clone(), session };
        // If the request fails, the error page takes its frame from here.
        request.extensions_mut().insert(signed_in.frame(None));
        Ok(signed_in)
    }

    /// The token for the forms of a page.
    pub(super) fn csrf(&self) -> String {
        csrf::token(&self.door, Bound::Session(&self.session.session_id))
    }

    /// The frame of a page that is about no workspace.
    pub(super) fn shell(&self, title: &str) -> Shell {
        Shell { frame: Some(self.frame(None)), ..Shell::plain(&self.door, title) }
    }

    /// The frame of a page about a workspace.
    pub(super) fn shell_in(&self, workspace: &Workspace, title: &str) -> Shell {
        Shell { frame: Some(self.frame(Some(workspace))), ..Shell::plain(&self.door, title) }
    }

    fn frame(&self, workspace: Option<&Workspace>) -> Frame {
        let operator = &self.session.operator;
        let name = if operator.name.is_empty() { &operator.email } else { &operator.name };
        Frame {
            name: name.clone(),
            initial: name.chars().next().map_or_else(String::new, |first| first.to_uppercase().collect()),
            csrf: self.csrf(),
            workspace: workspace
                .map(|workspace| Place { id: workspace.workspace_id.clone(), name: workspace.name.clone() }),
            groups: nav::groups(
                &self.door.base,
                operator,
                workspace.map(|workspace| workspace.workspace_id.as_str()),
                self.request.path(),
            ),
        }
    }

    /// Whether the operator may do everything everywhere.
    pub(super) fn is_platform_admin(&self) -> bool {
        self.session.operator.is_platform_admin()
    }

    /// The workspaces that the operator has a role in, each once. A platform administrator needs none.
    pub(super) fn own_workspaces(&self) -> Vec<&str> {
        let mut ids: Vec<&str> =
            self.session.operator.roles.iter().filter_map(|role| role.workspace_id()).collect();
        // Roles are sorted by kind first, so one workspace may be in several places.
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The caller for one workspace. `None` is for a platform administrator, whose caller is for all workspaces.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a role there; [`Error::Denied`] while the workspace is suspended, except for a platform
    /// administrator.
    pub(super) async fn caller(&self, workspace_id: Option<&str>) -> Result<Caller, Error> {
        self.door.services.operators.caller(&self.session, workspace_id, &source(&self.request)).await
    }

    /// A workspace that the operator may look at.
    ///
    /// # Errors
    /// 404 without a role there or if it does not exist; 403 while it is suspended, except for a platform administrator.
    pub(super) async fn inside(&self, workspace_id: &str) -> Result<Inside, Stop> {
        self.enter(workspace_id).await.map_err(|error| match error {
            Error::Denied(_) => Stop::suspended(),
            other => other.into(),
        })
    }

    /// As [`SignedIn::inside`], with the error of the service instead of a page.
    pub(super) async fn enter(&self, workspace_id: &str) -> Result<Inside, Error> {
        let caller = self.caller(Some(workspace_id)).await?;
        let can_manage = caller.holds(Permission::Manage);
        let reader = Reader::try_from(caller)?;
        let workspace = self.door.services.tenants.workspace(&reader, workspace_id).await?;
        Ok(Inside { workspace, reader, can_manage })
    }

    /// An API client that the operator may look at, in whichever of their workspaces it is.
    ///
    /// # Errors
    /// 404 if it is in none of them, or in a suspended one, which only a platform administrator may look at.
    pub(super) async fn client(&self, client_id: &str) -> Result<OfClient, Stop> {
        let services = &self.door.services;
        if self.is_platform_admin() {
            let reader = Reader::try_from(self.caller(None).await?)?;
            let record = services.clients.client(&reader, client_id).await?;
            let workspace = services.tenants.workspace(&reader, &record.client.workspace_id).await?;
            return Ok(OfClient { record, inside: Inside { workspace, reader, can_manage: true } });
        }
        for workspace_id in self.own_workspaces() {
            let inside = match self.enter(workspace_id).await {
                Ok(inside) => inside,
                Err(Error::NotFound(_) | Error::Denied(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            match services.clients.client(&inside.reader, client_id).await {
                Ok(record) => return Ok(OfClient { record, inside }),
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Stop::not_found())
    }
}

/// The address of the sign-in page. For a GET it names the page to return to, unless that is the start page.
fn to_sign_in(door: &Door, request: &HttpRequest) -> String {
    let here = request.uri().path_and_query().map_or("", |path| path.as_str());
    if *request.method() != Method::GET || here == door.base {
        return door.href("/sign-in");
    }
    let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
    door.href(&format!("/sign-in?next={next}"))
}

impl FromRequest for SignedIn {
    type Error = Stop;
    type Future = LocalBoxFuture<'static, Result<Self, Stop>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

impl FromRequest for Submitted {
    type Error = Stop;
    type Future = LocalBoxFuture<'static, Result<Self, Stop>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut body = PendingBody::of(&request, payload);
        Box::pin(async move {
            let signed_in = SignedIn::of(&request).await?;
            let form = Form::read(&signed_in.door, &request, &mut body).await?;
            csrf::check(&signed_in.door, &request, &form, Bound::Session(&signed_in.session.session_id))?;
            Ok(Self { signed_in, form })
        })
    }
}
