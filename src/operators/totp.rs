//! Codes of authenticator apps: TOTP (RFC 6238) over HOTP (RFC 4226) with HMAC-SHA-1, 6 digits and steps of 30 seconds, which
//! authenticator apps use by default.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use crate::model::clock::UnixSeconds;

/// The length of a step, in seconds.
const STEP_SECONDS: i64 = 30;
/// By how many steps the clock of the app's device may differ from ours.
const STEPS_OFF: i64 = 1;
/// Base 32 (RFC 4648 §6).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The secret that a service shares with an authenticator app: 160 bits. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    /// The secret of these bytes, such as [`TotpSecret::bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Its bytes, to be sealed.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The form in which people type it into an app.
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32(&self.0))
    }

    /// The address that a QR code carries (Key URI Format of authenticator apps). Parts are percent-encoded.
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let (issuer, account) = (percent(issuer), percent(account));
        let secret = self.base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            secret.as_str()
        ))
    }

    /// The step of a code that is right at `now`, give or take one step; `None` for a wrong code. Spaces in the code are
    /// ignored.
    pub(super) fn step_of(&self, code: &str, now: UnixSeconds) -> Option<i64> {
        let digits: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).collect());
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Comparing numbers takes the same time for every code; comparing digits would not.
        let code: u32 = digits.parse().ok()?;
        let current = now.div_euclid(STEP_SECONDS);
        (current - STEPS_OFF..=current + STEPS_OFF).find(|step| self.truncated(*step) % 1_000_000 == code)
    }

    /// The number of a step before it is shortened to six digits (RFC 4226 §5.3).
    fn truncated(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0x0f);
        let word = bytes.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        u32::from_be_bytes(word) & 0x7fff_ffff
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

/// Letters and digits of base 32, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let (mut text, mut buffer, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(digit(buffer >> bits));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(digit(buffer << (5 - bits)));
    }
    text
}

fn digit(value: u32) -> char {
    BASE32.get((value & 31) as usize).copied().map_or('A', char::from)
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the vectors for SHA-1: codes of 8 digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890");
        for (time, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000_i64, 65_353_130),
        ] {
            assert_eq!(secret.truncated(time / STEP_SECONDS) % 100_000_000, code, "{time}");
            let six = format!("{:06}", code % 1_000_000);
            assert_eq!(secret.step_of(&six, time), Some(time / STEP_SECONDS));
        }
    }

    #[test]
    fn a_code_may_be_one_step_off_and_must_have_six_digits() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890");
        // 287082 is the code at 59, the first vector of RFC 6238 in six digits.
        for (seconds, right) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            assert_eq!(secret.step_of("287 082", 59 - seconds).is_some(), right, "{seconds}");
        }
        for code in ["", "287083", "94287082", "２８７０８２", "28708"] {
            assert_eq!(secret.step_of(code, 59), None, "{code}");
        }
    }

    #[test]
    fn the_secret_is_written_as_apps_read_it_and_debug_hides_it() {
        // RFC 4648 §10.
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        let secret = TotpSecret::from_bytes(b"foobar");
        assert_eq!(
            secret.uri("Mint mark", "a+b@c.example").as_str(),
            "otpauth://totp/Mint%20mark:a%2Bb%40c.example?secret=MZXW6YTBOI&issuer=Mint%20mark&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(format!("{secret:?}"), "TotpSecret(…)");
    }
}
