//! `/oauth2/verify`, any method: checks the token of a request for a proxy in front of another service (forward-auth with
//! nginx `auth_request`, Traefik, Caddy, Envoy; `docs/forward-auth.md`).
//!
//! The status is 200, 401 or 403, or 503 if the token cannot be checked. nginx passes on 401 and 403, and turns any other
//! refusal into 500, so a request is refused only for its token and its query. Its body is ignored, and the reply has none. (A
//! head that is not valid HTTP never gets here.) The headers that describe a token are together not longer than a token may
//! be, [`mintmark_verifier::MAX_TOKEN_BYTES`]. The challenge of a refusal follows RFC 6750 §3.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use mintmark_verifier::AccessTokenClaims;

use super::door::Door;
use super::error::no_store;
use super::form;
use crate::config::Settings;
use crate::http::bearer::{self, Bearer, CHALLENGE};
use crate::http::retry_after;
use crate::kernel::Error;
use crate::model::inline_id::ClientId;
use crate::model::product::is_product_code;
use crate::telemetry;
use crate::tokens::Validity;

const CLIENT_ID: HeaderName = HeaderName::from_static("x-mintmark-client-id");
const WORKSPACE_ID: HeaderName = HeaderName::from_static("x-mintmark-workspace-id");
const PRODUCTS: HeaderName = HeaderName::from_static("x-mintmark-products");
const SCOPE: HeaderName = HeaderName::from_static("x-mintmark-scope");
const TOKEN_ID: HeaderName = HeaderName::from_static("x-mintmark-token-id");

/// The headers in which a token is accepted, in addition to `Authorization` (`verify.token_headers`).
#[derive(Debug, Default)]
pub struct TokenHeaders(Box<[HeaderName]>);

impl TokenHeaders {
    /// The headers in the settings, where the names were already checked.
    pub fn new(settings: &Settings) -> Self {
        let names = settings.verify.token_headers.iter();
        Self(names.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect())
    }
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It has no token.
    NoToken,
    /// Its token is not valid; the text says what to do.
    InvalidToken(Cow<'static, str>),
    /// Its token does not include all of these products.
    LacksProducts(String),
    /// The query of the proxy has something other than `product` parameters with valid product codes.
    MalformedQuery,
    /// The state of the token cannot be read.
    Unavailable,
}

const NOT_VALID: Refusal = Refusal::InvalidToken(Cow::Borrowed("the token is not valid: get a new one"));
const MALFORMED: Refusal =
    Refusal::InvalidToken(Cow::Borrowed("the token is malformed: send it as it was issued"));
const TWO_TOKENS: Refusal = Refusal::InvalidToken(Cow::Borrowed("more than one token was sent: send one"));
const WITHOUT_SCHEME: Refusal = Refusal::InvalidToken(Cow::Borrowed(
    "the Authorization header lacks the word Bearer before the token: send Authorization: Bearer TOKEN",
));
const BOUND: Refusal = Refusal::InvalidToken(Cow::Borrowed(
    "the token is bound to a key (cnf), and this endpoint does not check proofs: use a token without cnf",
));

/// Any method on `/oauth2/verify`.
pub async fn any(request: HttpRequest, door: Data<Door>) -> HttpResponse {
    let passing = match claims(&request, &door).await {
        Ok(claims) => passed(claims),
        Err(refusal) => Err(refusal),
    };
    passing.unwrap_or_else(refused)
}

/// The claims of the token in the request, if it is valid and includes the required products.
async fn claims(request: &HttpRequest, door: &Door) -> Result<AccessTokenClaims, Refusal> {
    let services = &door.services;
    let token = presented(request.headers(), &door.token_headers.0)?;
    // Confirm the caches before the token is verified, because the cached keys may be out of date too.
    let confirmed = services.ledger.confirm().await.map_err(|error| unavailable(&error))?;
    let claims = services.issuer.verify_any_audience(confirmed, token).map_err(|error| {
        tracing::info!(reason = error.code(), "refused an access token");
        if services.issuer.is_cut(token) {
            return Refusal::InvalidToken(Cow::Owned(format!(
                "the token is not valid: {}",
                bearer::cut(token)
            )));
        }
        NOT_VALID
    })?;
    if claims.cnf.is_some() {
        tracing::info!(reason = "bound_refused", "refused an access token");
        return Err(BOUND);
    }
    if let Validity::Inactive(reason) =
        services.tokens.validity(confirmed, &claims).await.map_err(|error| unavailable(&error))?
    {
        tracing::info!(reason = reason.as_str(), "refused an access token");
        return Err(NOT_VALID);
    }
    if let Some(client_id) = ClientId::new(&claims.client_id) {
        telemetry::http::authenticated(request, client_id);
    }
    let query = request.query_string();
    let included = |member| product(member).is_some_and(|product| claims.has_product(&product));
    if query.is_empty() || query.split('&').all(included) { Ok(claims) } else { Err(lacking(query)) }
}

/// The token of a request, which must be the only one.
fn presented<'a>(headers: &'a HeaderMap, elsewhere: &[HeaderName]) -> Result<&'a str, Refusal> {
    let bearer = Bearer::of(headers);
    let mut found = match bearer {
        Bearer::Token(token) => Some(token),
        Bearer::Missing | Bearer::WithoutScheme => None,
        Bearer::Malformed => return Err(MALFORMED),
        Bearer::Repeated => return Err(TWO_TOKENS),
    };
    for line in elsewhere.iter().flat_map(|name| headers.get_all(name)) {
        let text = line.to_str().map_err(|_| MALFORMED)?.trim_matches(' ');
        if !text.is_empty() && found.replace(bearer::token(text).unwrap_or(text)).is_some() {
            return Err(TWO_TOKENS);
        }
    }
    found.ok_or(if bearer == Bearer::WithoutScheme { WITHOUT_SCHEME } else { Refusal::NoToken })
}

/// The product that a member of the query requires; `None` if it is another parameter or malformed.
fn product(member: &str) -> Option<Cow<'_, str>> {
    let (name, value) = member.split_once('=')?;
    if form::decode(name)? == "product" { form::decode(value) } else { None }
}

/// Why the query is refused: the token does not include all products in the query, or the query does not consist of products.
#[cold]
fn lacking(query: &str) -> Refusal {
    let products: Option<Vec<_>> =
        query.split('&').map(|member| product(member).filter(|product| is_product_code(product))).collect();
    let Some(products) = products else {
        tracing::warn!(
            "the query of a proxy may have only product parameters: use ?product=CODE in its settings"
        );
        return Refusal::MalformedQuery;
    };
    Refusal::LacksProducts(products.join(" "))
}

fn unavailable(error: &Error) -> Refusal {
    tracing::error!(failure = error.kind(), %error, "the request could not be served");
    Refusal::Unavailable
}

/// 200 with the headers that describe the token.
fn passed(claims: AccessTokenClaims) -> Result<HttpResponse, Refusal> {
    let mut response = HttpResponse::Ok();
    no_store(&mut response);
    for (name, text) in [
        (CLIENT_ID, claims.client_id),
        (WORKSPACE_ID, claims.workspace_id),
        (PRODUCTS, claims.products.join(" ")),
        (SCOPE, claims.scope),
        (TOKEN_ID, claims.jti),
    ] {
        let value = HeaderValue::try_from(text).map_err(|error| {
            tracing::error!(%error, "a claim of a token cannot be written to a header");
            Refusal::Unavailable
        })?;
        response.insert_header((name, value));
    }
    Ok(response.finish())
}

#[cold]
fn refused(refusal: Refusal) -> HttpResponse {
    let challenged = |status: StatusCode, more: &str| {
        let mut response = HttpResponse::build(status);
        response.insert_header((header::WWW_AUTHENTICATE, format!("{CHALLENGE}{more}")));
        response
    };
    let mut response: HttpResponseBuilder = match refusal {
        Refusal::NoToken => challenged(StatusCode::UNAUTHORIZED, ""),
        Refusal::InvalidToken(why) => challenged(
            StatusCode::UNAUTHORIZED,
            &format!(r#", error="invalid_token", error_description="{why}""#),
        ),
        Refusal::LacksProducts(products) => {
            challenged(StatusCode::FORBIDDEN, &format!(r#", error="insufficient_scope", scope="{products}""#))
        }
        Refusal::MalformedQuery => challenged(
            StatusCode::FORBIDDEN,
            r#", error="insufficient_scope", error_description="the query may have only product parameters: use ?product=CODE""#,
        ),
        Refusal::Unavailable => {
            let mut response = HttpResponse::ServiceUnavailable();
            retry_after::insert(&mut response);
            response
        }
    };
    no_store(&mut response);
    response.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_lists_the_required_products_and_may_have_nothing_else() {
        for (query, required) in [
            ("product=gst", Some("gst")),
            ("product=gst&product=e-invoicing", Some("gst e-invoicing")),
            ("product=a%3Ab", Some("a:b")),
            ("%70roduct=gst", Some("gst")),
            ("product=", None),
            ("product", None),
            ("product=gst&", None),
            ("&product=gst", None),
            ("product=gst&x=y", None),
            ("Product=gst", None),
            ("product=GST", None),
            ("product=gst+e-invoicing", None),
            ("product=gst,e-invoicing", None),
            ("product=%ff", None),
            ("product=%", None),
            ("product=\"", None),
            // A permission, not a product.
            ("product=mintmark:read", None),
            ("product[]=gst", None),
            ("scope=gst", None),
            ("access_token=x", None),
        ] {
            let expected =
                required.map_or(Refusal::MalformedQuery, |codes| Refusal::LacksProducts(codes.into()));
            assert_eq!(lacking(query), expected, "{query}");
        }
    }
}
