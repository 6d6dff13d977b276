//! Notes why a request was refused, for the administrators of its client: the reply does not always say why.

use actix_web::HttpRequest;

use super::door::Door;
use crate::model::refusal::{Endpoint, Refusal};
use crate::model::secret;
use crate::telemetry;
use crate::telemetry::request_id::RequestId;
use crate::usage::Refused;

/// Who sent a request, as far as the request could be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sender<'a> {
    /// What the request gives as its client id; empty if it gives none.
    pub(super) client_id: &'a str,
    /// The last four characters of the secret in the request; `None` if nothing in it has the form of a secret.
    pub(super) secret_last_four: Option<&'a str>,
}

/// The last four characters of a text that has the form of a client secret. Nothing of any other text is kept.
pub(super) fn last_four(text: &str) -> Option<&str> {
    if secret::is_well_formed(text) { text.get(text.len().checked_sub(4)?..) } else { None }
}

/// Notes that `request` is refused; `detail` is what the reply to a malformed request says.
pub(super) fn note(
    door: &Door,
    request: &HttpRequest,
    reason: Refusal,
    detail: Option<&str>,
    sender: Sender<'_>,
) {
    // Each [`Endpoint`] is named after the last part of its path.
    let endpoint = request.path().rsplit('/').next().and_then(Endpoint::named).unwrap_or(Endpoint::Token);
    door.services.usage.refused(Refused {
        endpoint,
        reason,
        detail,
        client_id: sender.client_id,
        secret_last_four: sender.secret_last_four,
        source: telemetry::http::source_ip(request),
        request_id: RequestId::of(request).as_str(),
    });
}
