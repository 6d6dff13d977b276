//! A browser before sign-in: it has a short-lived cookie that its forms are bound to.

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::LocalBoxFuture;

use super::csrf::{self, Bound};
use super::door::Door;
use super::form::Form;
use super::page::{Shell, page};
use super::stop::Stop;
use crate::http::connection::PendingBody;
use crate::kernel::Error;

/// The name of the cookie over http; [`Door::cookie_name`] gives the one over https.
const COOKIE: &str = "mintmark-form";
/// How long a browser keeps the cookie, in seconds.
const KEPT_SECONDS: i64 = 3600;
/// The length of the value of the cookie: 128 bits in base64url.
const KEY_LEN: usize = 22;

/// A GET before sign-in.
pub(crate) struct Visitor {
    pub(super) door: Data<Door>,
    pub(super) request: HttpRequest,
    key: String,
}

/// A POST before sign-in, whose form was made for this browser.
pub(crate) struct VisitorForm {
    pub(super) visitor: Visitor,
    pub(super) form: Form,
}

impl Visitor {
    fn of(request: &HttpRequest) -> Result<Self, Stop> {
        let door = Door::of(request)?;
        let known = cookie(request, &door.cookie_name(COOKIE)).filter(|key| {
            key.len() == KEY_LEN && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
        let key = match known {
            Some(key) => key.to_owned(),
            None => URL_SAFE_NO_PAD.encode(door.random.fill::<16>().map_err(Error::from)?),
        };
        Ok(Self { door, request: request.clone(), key })
    }

    /// The token for the forms of a page, in the field `csrf`.
    pub(super) fn csrf(&self) -> String {
        csrf::token(&self.door, Bound::Visitor(&self.key))
    }

    /// The frame of a page.
    pub(super) fn shell(&self, title: &str) -> Shell {
        Shell::plain(&self.door, title)
    }

    /// A page with a form. The browser keeps its cookie for an hour from then on.
    pub(super) fn page(&self, status: StatusCode, template: &impl Template) -> Result<HttpResponse, Stop> {
        Ok(self.remember(page(status, template)?))
    }

    /// Gives the browser its cookie, or renews it.
    pub(super) fn remember(&self, mut page: HttpResponse) -> HttpResponse {
        let cookie = self.door.cookie(COOKIE, &self.key, KEPT_SECONDS);
        if let Ok(cookie) = header::HeaderValue::from_str(&cookie) {
            page.headers_mut().append(header::SET_COOKIE, cookie);
        }
        page
    }
}

/// The value of a cookie, if the request has one of that name.
pub(super) fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

impl FromRequest for Visitor {
    type Error = Stop;
    type Future = LocalBoxFuture<'static, Result<Self, Stop>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let visitor = Self::of(request);
        Box::pin(async move { visitor })
    }
}

impl FromRequest for VisitorForm {
    type Error = Stop;
    type Future = LocalBoxFuture<'static, Result<Self, Stop>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut body = PendingBody::of(&request, payload);
        Box::pin(async move {
            let visitor = Visitor::of(&request)?;
            let form = Form::read(&visitor.door, &request, &mut body).await?;
            csrf::check(&visitor.door, &request, &form, Bound::Visitor(&visitor.key))?;
            Ok(Self { visitor, form })
        })
    }
}
