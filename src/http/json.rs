//! Parses JSON strictly (RFC 8259): refuses what parsers may read differently, such as a member that occurs twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is wrong with a JSON text, and where. It does not quote the text, which may contain a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// The text is not UTF-8.
    NotUtf8,
    /// An object names a member twice, found at this line and column.
    Twice(usize, usize),
    /// The text is not JSON, or is nested too deep, found at this line and column.
    NotJson(usize, usize),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::Twice(line, column) => write!(f, "names a member twice at line {line} column {column}"),
            Self::NotJson(line, column) => {
                write!(f, "is not valid JSON, or is nested too deep, at line {line} column {column}")
            }
        }
    }
}

/// Reads a JSON text.
///
/// # Errors
/// [`JsonError`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(
        |error| match error.classify() {
            // `Strict` refuses only a member that occurs twice.
            serde_json::error::Category::Data => JsonError::Twice(error.line(), error.column()),
            _ => JsonError::NotJson(error.line(), error.column()),
        },
    )
}

/// The depth to which objects and arrays are nested in `value`; 0 for a value that is neither.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Any JSON value without an object in which a member occurs twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn malformed_ambiguous_and_too_deep_json_is_refused_and_other_json_is_read() {
        for bad in [
            "",
            " ",
            "{",
            "{}}",
            "{} {}",
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"a":1,"\u0061":1}]"#,
            "{'a':1}",
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            "\u{feff}{}",
            r#"{"a":01}"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse(format!("{}1{}", "[".repeat(200), "]".repeat(200)).as_bytes()).is_err());
        assert!(parse(format!("{}{}", "[".repeat(200_000), "]".repeat(200)).as_bytes()).is_err());
        let value = json!({"a": [1, -1, 1.5, true, null, "ä"], "b": {"c": {}}});
        assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
    }

    #[test]
    fn depth_counts_nesting() {
        for (text, expected) in [("1", 0), ("{}", 1), ("[[],{}]", 2), (r#"{"a":[{"b":1}],"c":[]}"#, 3)] {
            assert_eq!(depth(&parse(text.as_bytes()).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn an_error_does_not_quote_its_input() {
        let error = parse(br#"{"client_secret":"mms_x","client_secret":"mms_y"}"#).unwrap_err().to_string();
        assert!(error.starts_with("names a member twice at line 1"), "{error}");
        assert!(!error.contains("mms_") && !error.contains("client_secret"), "{error}");
    }
}
