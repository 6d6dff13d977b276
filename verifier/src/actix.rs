//! An extractor for actix-web: a handler that takes [`Authorized`] runs only with a verified token. Any other request is
//! refused as RFC 6750 §3 says, with 503 if its token cannot be checked at present, or with 500 if the app has no verifier.
//!
//! ```
//! use actix_web::{App, web};
//! use mintmark_verifier::Verifier;
//! use mintmark_verifier::actix::{Authorized, Requirement};
//!
//! /// What the GST routes require.
//! struct Gst;
//! impl Requirement for Gst {
//!     const PRODUCTS: &'static [&'static str] = &["gst"];
//! }
//!
//! async fn file_return(token: Authorized<Gst>) -> String {
//!     format!("filed for {}", token.workspace_id)
//! }
//!
//! # fn main() -> Result<(), mintmark_verifier::BuildError> {
//! let verifier =
//!     web::Data::new(Verifier::builder("https://tokens.example.com", "https://api.example.com").build()?);
//! let app = App::new().app_data(verifier.clone()).route("/gst/returns", web::post().to(file_return));
//! # let _ = app;
//! # Ok(())
//! # }
//! ```

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;

use crate::{AccessTokenClaims, Verifier, VerifyError};

/// What a route requires beyond a valid token.
pub trait Requirement: 'static {
    /// The token must include each of these products.
    const PRODUCTS: &'static [&'static str];
}

/// Requires a valid token, and no product beyond those that the [`Verifier`] itself requires.
pub struct ValidToken;

impl Requirement for ValidToken {
    const PRODUCTS: &'static [&'static str] = &[];
}

/// The claims of a request's bearer token, verified by the [`Verifier`] in the app's data
/// (`web::Data<Verifier>`). The token is read from the `Authorization` header only, never from the query (RFC
/// 9700 §4.3.2) or a form.
pub struct Authorized<R = ValidToken> {
    claims: Arc<AccessTokenClaims>,
    requirement: PhantomData<fn() -> R>,
}

impl<R> Authorized<R> {
    /// The verified claims, to keep beyond the request.
    pub fn into_claims(self) -> Arc<AccessTokenClaims> {
        self.claims
    }
}

impl<R> Deref for Authorized<R> {
    type Target = AccessTokenClaims;

    fn deref(&self) -> &AccessTokenClaims {
        &self.claims
    }
}

/// Why a request was refused. `?` in a handler converts a [`VerifyError`] into it, so
/// `token.require_product("gst")?` answers 403.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The request has no bearer token: 401 with the scheme and without an error code (RFC 6750 §3.1).
    #[error("the request has no bearer token: send one as Authorization: Bearer")]
    NoToken {
        /// The verifier's audience.
        realm: String,
    },
    /// The token is refused (401, or 403 if it lacks a required product), or cannot be checked at present (503).
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The app has no `web::Data<Verifier>`: 500.
    #[error("the app has no web::Data<Verifier>: add it with app_data")]
    NotConfigured,
}

impl<R: Requirement> FromRequest for Authorized<R> {
    type Error = Rejection;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Rejection>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let verifier = request.app_data::<Data<Verifier>>().cloned().ok_or(Rejection::NotConfigured);
        let token = bearer(request.headers()).map(|token| token.map(str::to_owned));
        Box::pin(async move {
            let verifier = verifier?;
            let token = token?.ok_or_else(|| Rejection::NoToken { realm: verifier.audience().to_owned() })?;
            let claims = verifier.verify(&token).await?;
            R::PRODUCTS.iter().try_for_each(|product| claims.require_product(product))?;
            Ok(Self { claims, requirement: PhantomData })
        })
    }
}

/// The bearer token (RFC 6750 §2.1); `None` without an `Authorization` header or with another scheme.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, VerifyError> {
    let mut fields = headers.get_all(AUTHORIZATION);
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(VerifyError::Malformed("the request has two Authorization headers: send one"));
    }
    let field =
        field.to_str().map_err(|_| VerifyError::Malformed("the Authorization header is not ASCII"))?;
    let (scheme, token) = field.split_once(' ').unwrap_or((field, ""));
    Ok(scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_matches(' ')))
}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoToken { .. } => StatusCode::UNAUTHORIZED,
            Self::Token(why) => {
                StatusCode::from_u16(why.answer().status()).unwrap_or(StatusCode::UNAUTHORIZED)
            }
            Self::NotConfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::NoToken { realm } => {
                response.insert_header((WWW_AUTHENTICATE, format!("Bearer realm=\"{realm}\"")));
            }
            Self::Token(why) => match why.challenge() {
                Some(challenge) => _ = response.insert_header((WWW_AUTHENTICATE, challenge)),
                None => _ = response.insert_header((RETRY_AFTER, "5")),
            },
            Self::NotConfigured => {}
        }
        response.finish()
    }
}
