//! Pages of a list: the position at which the next page begins, as text in an address. The text has a MAC over the position,
//! the list and the operator, so that it works only for this list and this operator.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::session::SignedIn;
use super::stop::Stop;
use actix_web::http::StatusCode;

const MAC_LEN: usize = 32;

/// The text in an address for the position `after`.
pub(super) fn seal(signed_in: &SignedIn, list: &str, after: &str) -> String {
    let operator_id = signed_in.session.operator.operator_id.as_bytes();
    let parts: [&[u8]; 4] = [b"console", operator_id, list.as_bytes(), after.as_bytes()];
    let tag = signed_in.door.services.subkeys().cursor_mac(&parts);
    URL_SAFE_NO_PAD.encode([tag.as_slice(), after.as_bytes()].concat())
}

/// The position that an address carries; `None` for the first page.
///
/// # Errors
/// 400 for any other text, such as that of another list or another operator.
pub(super) fn open(signed_in: &SignedIn, list: &str, cursor: &str) -> Result<Option<String>, Stop> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let opened = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, after) = bytes.split_at_checked(MAC_LEN)?;
        let operator_id = signed_in.session.operator.operator_id.as_bytes();
        let parts: [&[u8]; 4] = [b"console", operator_id, list.as_bytes(), after];
        let is_ours = signed_in.door.services.subkeys().is_cursor_mac(&parts, tag);
        is_ours.then(|| String::from_utf8(after.to_vec()).ok()).flatten()
    };
    opened().map(Some).ok_or_else(|| {
        Stop::new(
            StatusCode::BAD_REQUEST,
            "This page of the list does not exist",
            "The address was made for another list, another filter or another account, or is not whole. Go back to the first page.",
        )
    })
}
