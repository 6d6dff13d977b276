//! `/console/account/identities`: removes a linked account at an OpenID Connect provider.

use actix_web::HttpResponse;

use super::super::page::see_other;
use super::super::session::{self, Submitted};
use super::super::sign_in::again::must_be_fresh;
use super::super::stop::Stop;
use super::{PATH, stop};
use crate::operators::WayRef;

/// `POST /console/account/identities/remove`
pub(crate) async fn remove(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    must_be_fresh(&signed_in)?;
    let identity =
        WayRef::Identity { issuer: form.one("issuer").to_owned(), subject: form.one("subject").to_owned() };
    let source = session::source(&signed_in.request);
    let operators = &signed_in.door.services.operators;
    let removed = operators.remove_way_in(&signed_in.session, &identity, &source).await;
    removed.map_err(|error| stop(&signed_in, error))?;
    Ok(see_other(&signed_in.door.href(PATH)))
}
