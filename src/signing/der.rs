//! A minimal DER reader (X.690), to find out which kind of private key a block contains and to read RSA numbers.

// Tags that occur in keys.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[1]`, constructed: the public key of an `ECPrivateKey` (RFC 5915 §3).
pub(super) const CONTEXT_1: u8 = 0xa1;

/// The elements inside a DER value, read in order.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn of(content: &'a [u8]) -> Self {
        Self(content)
    }

    /// The next element: its tag and content. `None` at the end, and for bytes that are not DER.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => rest.split_first_chunk::<1>().map(|([a], rest)| (usize::from(*a), rest))?,
            0x82 => {
                rest.split_first_chunk::<2>().map(|(l, rest)| (usize::from(u16::from_be_bytes(*l)), rest))?
            }
            // No key accepted here is 64 KiB long.
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, if it has this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The elements of `der`, if it is one SEQUENCE and nothing else.
pub(super) fn sequence(der: &[u8]) -> Option<Elements<'_>> {
    let mut outer = Elements::of(der);
    let content = outer.take(SEQUENCE)?;
    outer.is_empty().then(|| Elements::of(content))
}

/// The content of a positive INTEGER without its sign byte.
pub(super) fn without_sign(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nested_elements_and_refuses_malformed_ones() {
        let mut elements = sequence(&[0x30, 5, 0x02, 1, 7, 0x04, 0]).unwrap();
        assert_eq!(elements.take(INTEGER), Some([7].as_slice()));
        assert_eq!(elements.next(), Some((OCTET_STRING, [].as_slice())));
        assert!(elements.is_empty());
        assert_eq!(elements.next(), None);
        for bad in [
            &[0x30, 2, 1][..],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0, 0, 0, 1, 0],
            &[0x30, 0, 0],
            &[0x30],
            &[],
        ] {
            assert!(sequence(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_of_two_and_three_bytes_are_read() {
        for (head, length) in [(vec![0x30, 0x81, 200], 200), (vec![0x30, 0x82, 1, 0], 256)] {
            let der = [head, vec![0; length]].concat();
            assert!(!sequence(&der).unwrap().is_empty(), "{length}");
        }
    }
}
