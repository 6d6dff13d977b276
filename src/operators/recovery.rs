//! Recovery codes: an operator gets ten. Each works once, in place of a code of the authenticator app.

use zeroize::Zeroizing;

use super::tokens;
use super::totp::base32;
use crate::kernel::{Error, Kernel};

/// How many codes an operator gets.
const CODES: usize = 10;

/// New codes, each of 80 random bits: four groups of four letters and digits.
pub(super) fn new(kernel: &Kernel) -> Result<Vec<Zeroizing<String>>, Error> {
    (0..CODES)
        .map(|_| {
            let text = Zeroizing::new(base32(Zeroizing::new(kernel.random.fill::<10>()?).as_slice()));
            let mut code = Zeroizing::new(String::new());
            for (at, letter) in text.to_ascii_lowercase().chars().enumerate() {
                if at > 0 && at % 4 == 0 {
                    code.push('-');
                }
                code.push(letter);
            }
            Ok(code)
        })
        .collect()
}

/// The form in which a code is stored. Hyphens, spaces and case do not matter. The digits 0, 1 and 8,
/// which no code has, count as the letters that look like them.
pub(super) fn hash(code: &str) -> Vec<u8> {
    let plain = code.chars().filter(char::is_ascii_alphanumeric).map(|c| match c.to_ascii_lowercase() {
        '0' => 'o',
        '1' => 'l',
        '8' => 'b',
        other => other,
    });
    tokens::hash(Zeroizing::new(plain.collect::<String>()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn hyphens_spaces_case_and_similar_digits_of_a_code_do_not_matter() {
        for typed in ["abco-efgl-2345-67bb", "ABCOEFGL234567BB", " abc0 efg1 2345 678b "] {
            assert_eq!(hash(typed), hash("abco-efgl-2345-67bb"), "{typed}");
        }
        assert_ne!(hash("abco-efgl-2345-67bc"), hash("abco-efgl-2345-67bb"));
    }
}
