//! A strict reader of JSON objects, for headers, claims, metadata and key sets. It refuses text that is not UTF-8 and
//! members that occur twice, at any depth: two parsers could take different values from such a text (RFC 7515 §4, RFC
//! 8725 §2.6).

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not a JSON object in UTF-8, or a member occurs twice.
    NotStrictJson,
    /// A required member is missing, or a member has the wrong type.
    Shape,
}

/// Reads an object strictly.
pub(crate) fn strict<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read(unique(bytes)?)
}

/// `bytes` as text, after the strict checks.
pub(crate) fn unique(bytes: &[u8]) -> Result<&str, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotStrictJson)?;
    // serde would also read a struct from an array of its members' values.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(JsonError::NotStrictJson);
    }
    serde_json::from_str::<UniqueMembers>(text).map_err(|_| JsonError::NotStrictJson)?;
    Ok(text)
}

/// Reads a text that [`unique`] has checked.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    serde_json::from_str(text).map_err(|_| JsonError::Shape)
}

/// Any JSON value in which no object has two members of the same name. Names are compared after unescaping.
struct UniqueMembers;

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self, M::Error> {
        let mut seen = Names::default();
        while let Some(Name(name)) = map.next_key()? {
            map.next_value::<Self>()?;
            if !seen.insert(name) {
                return Err(M::Error::custom("a member occurs twice"));
            }
        }
        Ok(self)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self, S::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

/// The member names of an object so far. The first [`FEW`] are compared one by one, which is faster than hashing for
/// the size of a header or of claims. The rest are hashed, so that an object with very many members is not slow.
#[derive(Default)]
struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

const FEW: usize = 24;

impl<'de> Names<'de> {
    /// Whether `name` is new.
    fn insert(&mut self, name: Cow<'de, str>) -> bool {
        if self.few.contains(&name) {
            false
        } else if self.few.len() < FEW {
            self.few.push(name);
            true
        } else {
            self.many.insert(name)
        }
    }
}

/// A member's name, unescaped; borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_repeated_member_is_refused_at_every_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"a":1,"\u0061":2}]}"#,
            r#"{"a":1,"b":[{"c":null,"c":null}]}"#,
        ] {
            assert_eq!(strict::<Value>(text.as_bytes()), Err(JsonError::NotStrictJson), "{text}");
        }
        let text = r#"{"a":{"a":[true,-1,1.5,"a",null]},"b":{"a":{}}}"#;
        assert!(strict::<Value>(text.as_bytes()).is_ok());
    }

    /// The repeated name may be anywhere, and the object may have few members or many.
    #[test]
    fn a_repeated_name_among_many_is_found() {
        let member = |n: usize| format!("\"m{n}\":{n}");
        for count in [1, 2, FEW - 1, FEW, FEW + 1, 100] {
            let members: Vec<_> = (0..count).map(member).collect();
            assert!(strict::<Value>(format!("{{{}}}", members.join(",")).as_bytes()).is_ok(), "{count}");
            for again in 0..count {
                let text = format!("{{{},{}}}", members.join(","), member(again));
                assert_eq!(
                    strict::<Value>(text.as_bytes()),
                    Err(JsonError::NotStrictJson),
                    "{again} of {count}"
                );
            }
        }
    }

    #[test]
    fn only_utf8_json_is_read() {
        for text in [
            &b"{\"a\":\"\xff\"}"[..],
            b"\xef\xbb\xbf{}",
            b"{} {}",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"",
            b"{\"a\":NaN}",
        ] {
            assert_eq!(strict::<Value>(text), Err(JsonError::NotStrictJson));
        }
        assert_eq!(strict::<Vec<u8>>(b" {}"), Err(JsonError::Shape));
    }
}
