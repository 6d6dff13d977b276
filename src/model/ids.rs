//! Identifiers: their formats, and how they are made from random bytes that the caller provides.
//!
//! Everything generated has only characters of `[A-Za-z0-9_-]`, so that HTTP Basic credentials are the same bytes with and
//! without form-encoding (RFC 6749 §2.3.1).

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes `bytes` (most significant first) as exactly `width` base62 digits, zero-padded, most significant first.
/// The caller chooses a width that the bytes fit in; higher digits would be cut off.
pub fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            // The quotient fits a byte: value < 62 * 256.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        *digit = BASE62.get(remainder as usize).copied().unwrap_or(b'0');
    }
    digits.into_iter().map(char::from).collect()
}

/// Reads base62 digits, most significant first, as [`base62`] writes them. `None` for anything else, and for a number
/// too large for the type. Allocates nothing, since it runs for every token request.
pub fn from_base62(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u64::from(value))
    })
}

/// A `client_id` (RFC 6749 §2.2): `cl_` and 128 random bits in 22 base62 digits.
pub fn client_id(random: [u8; 16]) -> String {
    format!("cl_{}", base62(&random, 22))
}

/// A generated workspace id: `ws_` and 128 random bits in 22 base62 digits.
pub fn workspace_id(random: [u8; 16]) -> String {
    format!("ws_{}", base62(&random, 22))
}

/// A UUIDv7 (RFC 9562 §5.7) of the given instant, as text. Sorts by time, so it also orders lists.
pub fn uuid_v7(now_millis: i64, random: [u8; 10]) -> String {
    let millis = u64::try_from(now_millis).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

/// Generates UUIDv7 ids, each sorting after the one before: a counter of 12 bits follows the milliseconds (RFC 9562 §6.2,
/// method 1), so that ids of the same millisecond keep their order.
#[derive(Debug, Default)]
pub struct OrderedIds(AtomicU64);

impl OrderedIds {
    /// The next id. Its instant is `now_millis`, or that of the last id if that is later. If the counter of that millisecond is
    /// used up, the instant is the next millisecond.
    pub fn next(&self, now_millis: i64, mut random: [u8; 10]) -> String {
        let now = u64::try_from(now_millis).unwrap_or(0) << 12;
        let after = |last: u64| now.max(last.saturating_add(1));
        // The closure always returns a value, so the update always happens.
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        let ticks = after(last.unwrap_or_else(|last| last));
        let ([first, second, ..], [.., high, low]) = (&mut random, (ticks & 0xfff).to_be_bytes());
        (*first, *second) = (high, low);
        uuid_v7(i64::try_from(ticks >> 12).unwrap_or(i64::MAX), random)
    }
}

/// A text that sorts before every id of [`OrderedIds`] from this instant on, and after every earlier one.
pub fn ordered_id_floor(millis: i64) -> String {
    let millis = u64::try_from(millis).unwrap_or(0);
    format!("{:08x}-{:04x}", millis >> 16 & 0xffff_ffff, millis & 0xffff)
}

/// Whether `text` is a UUID in its usual hyphenated form, as our own ids are.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// Whether `text` could be a `jti` of ours: 128 bits in base64url.
pub fn is_jti(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether `text` could be a `client_id` of ours. Anything else is unknown without asking the database.
pub fn is_client_id(text: &str) -> bool {
    text.len() == 25 && text.strip_prefix("cl_").is_some_and(is_alphanumeric)
}

/// Whether `text` has only ASCII letters and digits. All bytes are read, without a branch for each: a processor cannot
/// predict whether the next character of a random text is a letter or a digit.
pub fn is_alphanumeric(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

/// Whether `text` may be a workspace id: `[A-Za-z0-9_-]{1,64}`.
pub fn is_workspace_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_is_positional_zero_padded_and_most_significant_first() {
        assert_eq!(base62(&[0], 3), "000");
        assert_eq!(base62(&[61], 2), "0z");
        assert_eq!(base62(&[62], 2), "10");
        assert_eq!(base62(&[0xff; 16], 22), "7n42DGM5Tflk9n8mt7Fhc7");
        assert_eq!(base62(&[0xff; 32], 43).len(), 43);
        for number in [0, 1, 61, 62, 3_844, u32::MAX] {
            assert_eq!(from_base62(&base62(&number.to_be_bytes(), 6)), Some(u64::from(number)));
        }
        assert_eq!(from_base62("1-"), None);
        assert_eq!(from_base62("zzzzzzzzzzzz"), None);
    }

    #[test]
    fn ordered_ids_sort_in_order_of_creation_whatever_the_clock_does_and_a_floor_sorts_between() {
        let ids = OrderedIds::default();
        let mut last = String::new();
        for n in 0..10_000_i64 {
            let now = 1_790_000_000_000 + [0, 0, 5, -3_600_000, 1][usize::try_from(n % 5).unwrap()];
            let next = ids.next(now, [u8::try_from(n % 256).unwrap(); 10]);
            assert!(next > last && is_uuid(&next) && next.as_bytes()[14] == b'7', "{last} {next}");
            last = next;
        }
        // A millisecond has room for 4096 ids; further ones use the following milliseconds. In nanoseconds: the clock shows at
        // most 5 ms, and 10,000 ids need at most 3 ms more.
        let ahead = Uuid::parse_str(&last).unwrap().get_timestamp().unwrap().to_unix().1;
        assert!(ahead <= 5_000_000 + 3_000_000, "{ahead}");
        let (before, at) = (uuid_v7(1_790_000_000_999, [255; 10]), uuid_v7(1_790_000_001_000, [0; 10]));
        let floor = ordered_id_floor(1_790_000_001_000);
        assert!(before < floor && floor < at, "{before} {floor} {at}");
        // In a new millisecond the counter begins at 0.
        let later = ids.next(1_790_000_001_000, [0; 10]);
        assert_eq!(later, uuid_v7(1_790_000_001_000, [0; 10]));
    }

    #[test]
    fn generated_ids_are_recognised_and_other_texts_are_not() {
        assert!(is_client_id(&client_id([7; 16])));
        assert!(!is_client_id("cl_short"));
        assert!(is_workspace_id(&workspace_id([9; 16])));
        assert!(!is_workspace_id("a b"));
        assert!(is_jti("gCIILG65t-feuRjwnKn_BQ") && !is_jti("gCIILG65t-feuRjwnKn_B=") && !is_jti("short"));
        assert!(is_uuid(&uuid_v7(1_790_000_000_000, [1; 10])));
    }
}
