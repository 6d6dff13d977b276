//! The console: HTML under `/console`, for people who administer API clients in a browser. The server renders all pages;
//! everything except passkeys works without scripts.
//!
//! The pages are in `pages`, `account`, `sign_in` and `setup`. Their handlers read the request, call the services, and fill the
//! view of a template. A GET takes `session::SignedIn`, a POST takes `session::Submitted`, which has checked the form's token
//! and where the form came from. Before sign-in the two are `visitor::Visitor` and `visitor::VisitorForm`. An error becomes a
//! [`stop::Stop`], which [`finish`] turns into a page that says the next step, or into a redirect.

pub(crate) mod account;
mod actions;
pub mod assets;
mod checks;
mod client_form;
mod client_form_view;
mod csrf;
mod cursor;
mod device;
mod door;
mod error_page;
mod event_names;
mod events;
mod extent;
mod facts;
mod form;
mod guides;
mod headers;
mod members;
mod nav;
mod next;
mod nonce;
mod notice;
mod operator_form;
mod page;
pub(crate) mod pages;
mod products;
mod reveal;
mod reveal_flow;
mod session;
pub(crate) mod setup;
pub(crate) mod sign_in;
mod snippets;
mod status;
pub mod stop;
mod turns;
mod visitor;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use crate::model::moment;

pub use door::Door;
pub use sign_in::oidc::Providers;
use stop::Stop;

/// Middleware of `/console`: turns errors into pages or redirects, and adds the headers that protect every reply.
///
/// # Errors
/// Those of `next`.
pub async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(error) = response.response().error() {
        let status = response.status();
        let page = match error.as_error::<Stop>() {
            Some(stop) => error_page::reply(stop, response.request()),
            None => error_page::reply(&Stop::of_status(status), response.request()),
        };
        response = response.into_response(page);
    }
    headers::protect(response.headers_mut());
    Ok(response)
}
