//! A member of a JSON Merge Patch (RFC 7396 §2): left out, `null`, or a value. The three mean different things.

use serde::{Deserialize, Deserializer};

/// What a change says of one member of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Member<T> {
    /// Not named: stays as it is; a new record takes the default.
    #[default]
    Absent,
    /// `null`: takes the default.
    Null,
    /// Takes this value.
    Value(T),
}

impl<T> Member<T> {
    /// The value, if one is given.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the change leaves the member alone.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> From<Option<T>> for Member<T> {
    /// `None` leaves the member alone.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

/// Reads `null` or a value; needs `#[serde(default)]` on the field, which makes a missing member absent.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Patch {
        label: Member<String>,
    }

    #[test]
    fn left_out_null_and_value_are_told_apart() {
        let read = |text| serde_json::from_str::<Patch>(text).unwrap().label;
        assert_eq!(read("{}"), Member::Absent);
        assert_eq!(read(r#"{"label":null}"#), Member::Null);
        assert_eq!(read(r#"{"label":"a"}"#), Member::Value("a".to_owned()));
        assert_eq!(Member::from(Some(1)).value(), Some(&1));
    }
}
