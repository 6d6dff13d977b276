//! Ids that are stored inline in a record. Consecutive requests mostly come from different clients, so the record of a client
//! is rarely in the cache of the processor. An id stored elsewhere would be a second read from memory.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

/// An id of a client (`cl_` and 22 characters).
pub type ClientId = InlineId<25>;
/// An id of a client secret (a UUID).
pub type SecretId = InlineId<36>;

/// An ASCII text of up to `N` bytes. Sorts by its bytes, like a `str`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InlineId<const N: usize> {
    /// Zeros follow the text.
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> InlineId<N> {
    /// `None` for a text that is too long to be such an id, or that is not ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len()).filter(|_| text.is_ascii())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: u8::try_from(text.len()).ok()? })
    }
}

impl<const N: usize> Deref for InlineId<N> {
    type Target = str;

    fn deref(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        str::from_utf8(text).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for InlineId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<const N: usize> fmt::Display for InlineId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<const N: usize> Serialize for InlineId<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_text_and_long_or_non_ascii_texts_are_refused() {
        for text in ["", "a", "cl_0123456789012345678901"] {
            let id = ClientId::new(text).unwrap();
            assert_eq!(
                (&*id, id.to_string(), format!("{id:?}")),
                (text, text.to_owned(), format!("{text:?}"))
            );
        }
        for text in ["cl_01234567890123456789012", "cl_é"] {
            assert_eq!(ClientId::new(text), None, "{text}");
        }
    }

    #[test]
    fn ids_sort_like_their_texts() {
        let texts = ["b", "", "ab", "a", "B", "aa"];
        let mut ids = texts.map(|text| SecretId::new(text).unwrap());
        let mut sorted = texts;
        ids.sort_unstable();
        sorted.sort_unstable();
        assert_eq!(ids.map(|id| id.to_string()), sorted);
    }
}
