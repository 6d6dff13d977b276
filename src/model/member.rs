//! A member of a JSON Merge Patch (RFC 7396 §2): left out, `null`, or a value. The three mean different things.

/// What a change does to one member of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Member<T> {
    /// Left out: stays as it is; a new record takes the default.
    #[default]
    Absent,
    /// `null`: takes the default, or is refused if the member is required.
    Null,
    /// Takes this value.
    Value(T),
}

/// A value of a member that accepts a word or a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordOrNumber {
    /// A word; the rule of the member decides whether it is accepted.
    Word(String),
    /// A whole number.
    Number(i64),
}

impl<T> Member<T> {
    /// The value, if one is given.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the change does not mention the member.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> From<Option<T>> for Member<T> {
    /// `None` is a member that the change does not mention.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_member_and_null_have_no_value() {
        assert_eq!(Member::from(Some(1)).value(), Some(&1));
        assert_eq!(Member::<i64>::Null.value(), None);
        assert!(Member::<i64>::from(None).is_absent() && !Member::<i64>::Null.is_absent());
    }
}
