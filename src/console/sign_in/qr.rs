//! A QR code as the path of an SVG, for authenticator apps.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// A QR code to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Qr {
    /// Width and height in modules, with the quiet zone of four at each side.
    pub(in crate::console) size: i32,
    /// The dark modules, as the `d` of a `path`.
    pub(in crate::console) path: String,
}

const QUIET: i32 = 4;

impl Qr {
    /// The QR code of a text; `None` if the text is too long for any QR code (2,331 bytes at this level of error correction).
    pub(in crate::console) fn of(text: &str) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let mut path = String::new();
        for y in 0..code.size() {
            let mut x = 0;
            while x < code.size() {
                let start = x;
                while code.get_module(x, y) {
                    x += 1;
                }
                if x > start {
                    // A row of dark modules is one rectangle.
                    let wide = x - start;
                    let _ = write!(path, "M{} {}h{wide}v1h-{wide}z", start + QUIET, y + QUIET);
                }
                x += 1;
            }
        }
        Some(Self { size: code.size() + 2 * QUIET, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once_and_a_text_that_is_too_long_has_no_code() {
        let text = "otpauth://totp/Mintmark:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Mintmark";
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
        let qr = Qr::of(text).unwrap();
        assert_eq!(qr.size, code.size() + 8);
        let mut drawn = Vec::new();
        for row in qr.path.split('z').filter(|row| !row.is_empty()) {
            let (place, wide) = row.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
            let wide: i32 = wide.split('v').next().unwrap().parse().unwrap();
            drawn.extend((x..x + wide).map(|x| (x - 4, y - 4)));
        }
        let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let mut dark: Vec<_> = dark.filter(|(x, y)| code.get_module(*x, *y)).collect();
        dark.sort_by_key(|(x, y)| (*y, *x));
        assert_eq!(drawn, dark);
        assert_eq!(Qr::of(&"a".repeat(3000)), None);
    }
}
