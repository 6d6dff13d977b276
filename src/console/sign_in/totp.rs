//! The key of an authenticator app as a page shows it: a QR code, a link for an app on the same device, and text.

use std::fmt;

use zeroize::Zeroizing;

use super::super::door::Door;
use super::qr::Qr;
use crate::operators::TotpSecret;

/// What a page shows of a key.
pub(in crate::console) struct TotpView {
    pub(in crate::console) qr: Option<Qr>,
    /// In Base32, in groups of four.
    pub(in crate::console) key: String,
    pub(in crate::console) uri: String,
}

/// The key for an app that is not set up yet: a MAC of `parts`, so that a page that is loaded again shows the same key, which
/// only this service can compute. The key is not stored until a code confirms it.
pub(in crate::console) fn secret_for(door: &Door, parts: &[&[u8]]) -> TotpSecret {
    let mac = Zeroizing::new(door.services.subkeys().enrolment_mac(parts));
    TotpSecret::from_bytes(mac.first_chunk::<20>().map_or(mac.as_slice(), <[u8; 20]>::as_slice))
}

impl fmt::Debug for TotpView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpView")
    }
}

impl TotpView {
    /// What a page shows of `secret`. The app shows `email` and `host` beside its codes.
    pub(in crate::console) fn of(secret: &TotpSecret, email: &str, host: &str) -> Self {
        let uri = secret.uri(&format!("Mintmark {host}"), email);
        let letters: Vec<char> = secret.base32().chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Self { qr: Qr::of(&uri), key: groups.join(" "), uri: uri.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_learns_key_host_and_account_and_debug_shows_nothing() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890");
        let view = TotpView::of(&secret, "ada+x@example.com", "tokens.example.com");
        assert_eq!(view.key, "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert!(view.uri.starts_with(
            "otpauth://totp/Mintmark%20tokens.example.com:ada%2Bx%40example.com?secret=GEZDGNBV"
        ));
        assert_eq!(view.qr, Qr::of(&view.uri));
        assert!(view.qr.is_some());
        assert_eq!(format!("{view:?}"), "TotpView");
    }
}
