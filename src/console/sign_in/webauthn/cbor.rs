//! A reader for the CBOR (RFC 8949) that authenticators send: definite lengths only, as CTAP2 requires.

use super::refused::Refused;

/// How deep arrays, maps and tags may be nested. CTAP2 allows 4.
const DEEPEST: u8 = 8;

/// The kinds of values (major types), by the first three bits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Other,
}

/// What is left to read.
#[derive(Debug, Clone)]
pub(super) struct Cbor<'a>(&'a [u8]);

impl<'a> Cbor<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes that were not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// An integer that fits in 64 bits with its sign.
    pub(super) fn integer(&mut self) -> Result<i64, Refused> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value).map_err(|_| Refused::Cbor)?;
        match major {
            Major::Unsigned => Ok(value),
            // `!value` is `-1 - value`, which never overflows.
            Major::Negative => Ok(!value),
            _ => Err(Refused::Cbor),
        }
    }

    /// A byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Refused> {
        match self.head()? {
            (Major::Bytes, length) => self.take(length),
            _ => Err(Refused::Cbor),
        }
    }

    /// A text string.
    pub(super) fn text(&mut self) -> Result<&'a str, Refused> {
        match self.head()? {
            (Major::Text, length) => std::str::from_utf8(self.take(length)?).map_err(|_| Refused::Cbor),
            _ => Err(Refused::Cbor),
        }
    }

    /// The number of entries of a map. The entries are read next.
    pub(super) fn map(&mut self) -> Result<u64, Refused> {
        match self.head()? {
            (Major::Map, entries) => Ok(entries),
            _ => Err(Refused::Cbor),
        }
    }

    /// Reads one value of any kind and returns its bytes.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Refused> {
        let before = self.0;
        self.skip_nested(DEEPEST)?;
        Ok(before.get(..before.len() - self.0.len()).unwrap_or_default())
    }

    fn skip_nested(&mut self, deeper: u8) -> Result<(), Refused> {
        let (major, value) = self.head()?;
        let values = match major {
            Major::Unsigned | Major::Negative | Major::Other => 0,
            Major::Bytes | Major::Text => {
                self.take(value)?;
                0
            }
            Major::Array => value,
            Major::Map => value.checked_mul(2).ok_or(Refused::Cbor)?,
            Major::Tag => 1,
        };
        if values > 0 {
            let deeper = deeper.checked_sub(1).ok_or(Refused::Cbor)?;
            // Each value takes at least one byte, so a false count fails at the end of the bytes.
            for _ in 0..values {
                self.skip_nested(deeper)?;
            }
        }
        Ok(())
    }

    /// The kind of the next value, with its number or length.
    fn head(&mut self) -> Result<(Major, u64), Refused> {
        let (&first, rest) = self.0.split_first().ok_or(Refused::Cbor)?;
        self.0 = rest;
        let value = match first & 0x1f {
            short @ 0..=23 => u64::from(short),
            24 => u64::from(u8::from_be_bytes(self.chunk()?)),
            25 => u64::from(u16::from_be_bytes(self.chunk()?)),
            26 => u64::from(u32::from_be_bytes(self.chunk()?)),
            27 => u64::from_be_bytes(self.chunk()?),
            // Reserved values, and indefinite lengths.
            _ => return Err(Refused::Cbor),
        };
        let major = match first >> 5 {
            0 => Major::Unsigned,
            1 => Major::Negative,
            2 => Major::Bytes,
            3 => Major::Text,
            4 => Major::Array,
            5 => Major::Map,
            6 => Major::Tag,
            _ => Major::Other,
        };
        Ok((major, value))
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(Refused::Cbor)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Refused> {
        let length = usize::try_from(length).map_err(|_| Refused::Cbor)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Refused::Cbor)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_strings_and_nested_values_are_read() {
        // Most of the values are examples of RFC 8949, Appendix A.
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x17], 23),
            (&[0x18, 0x18], 24),
            (&[0x19, 0x03, 0xe8], 1000),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], 1_000_000),
            (&[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0], 1_000_000_000_000),
            (&[0x20], -1),
            (&[0x39, 0x03, 0xe7], -1000),
            (&[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i64::MIN),
        ] {
            assert_eq!(Cbor::of(bytes).integer().unwrap(), value);
        }
        assert_eq!(Cbor::of(&[0x44, 1, 2, 3, 4]).bytes().unwrap(), [1, 2, 3, 4]);
        assert_eq!(Cbor::of(b"\x64IETF").text().unwrap(), "IETF");
        // {"a": 1, "b": [2, 3]} and a byte more.
        let nested = [0xa2, 0x61, 0x61, 0x01, 0x61, 0x62, 0x82, 0x02, 0x03, 0xff];
        let mut reader = Cbor::of(&nested);
        assert_eq!(reader.skip().unwrap(), &nested[..9]);
        assert_eq!(reader.rest(), [0xff]);
        // A tag, null, a float.
        for bytes in [&[0xc1, 0x00][..], &[0xf6], &[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]] {
            assert_eq!(Cbor::of(bytes).skip().unwrap(), bytes);
        }
    }

    #[test]
    fn malformed_or_too_deep_cbor_is_refused() {
        // Bytes that end too early, an indefinite length, a reserved value, counts that are too high, and deep nesting.
        for bytes in [
            &[][..],
            &[0x18],
            &[0x42, 1],
            &[0x5f, 0x41, 1, 0xff],
            &[0x1c],
            &[0x82, 1],
            &[0xa1, 1],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x81; 100],
            &[0xc0; 100],
        ] {
            assert_eq!(Cbor::of(bytes).skip(), Err(Refused::Cbor), "{bytes:?}");
        }
        assert_eq!(Cbor::of(&[0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0]).integer(), Err(Refused::Cbor));
        assert_eq!(Cbor::of(&[0x61, 0xff]).text(), Err(Refused::Cbor));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Cbor::of(&bytes);
            if let Ok(read) = reader.skip() {
                prop_assert_eq!(&[read, reader.rest()].concat(), &bytes);
            }
            let _ = Cbor::of(&bytes).integer();
            let _ = Cbor::of(&bytes).text();
        }
    }
}
