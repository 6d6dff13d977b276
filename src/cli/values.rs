//! Values of options that set members of a record; an empty string resets a member to its default.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::model::expiry::TokenExpiry;
use crate::model::member::Member;

/// The value of an option; an empty string is the `null` of the management API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OptionValue<T> {
    Empty,
    Value(T),
}

impl<T: FromStr> FromStr for OptionValue<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.is_empty() { Ok(Self::Empty) } else { text.parse().map(Self::Value) }
    }
}

/// The member that an option sets.
pub(super) fn member<T>(given: Option<OptionValue<T>>) -> Member<T> {
    match given {
        None => Member::Absent,
        Some(OptionValue::Empty) => Member::Null,
        Some(OptionValue::Value(value)) => Member::Value(value),
    }
}

/// The member that a list option sets; an empty string is the empty list.
pub(super) fn members(given: Option<Vec<String>>) -> Member<Vec<String>> {
    Member::from(given.map(|items| items.into_iter().filter(|item| !item.is_empty()).collect()))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expiry(pub(super) TokenExpiry);

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self(TokenExpiry::Never {})),
            seconds => seconds
                .parse()
                .map(|seconds| Self(TokenExpiry::After { seconds }))
                .map_err(|_| "write `never`, or a number of seconds like 3600"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair(String, String);

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
        Ok(Self(key.to_owned(), value.to_owned()))
    }
}

/// Pairs to set and keys to remove, as a merge patch.
pub(super) fn metadata(set: Vec<Pair>, removed: Vec<String>) -> Member<BTreeMap<String, Option<String>>> {
    if set.is_empty() && removed.is_empty() {
        return Member::Absent;
    }
    let removed = removed.into_iter().map(|key| (key, None));
    Member::Value(removed.chain(set.into_iter().map(|Pair(key, value)| (key, Some(value)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_string_resets_a_member() {
        assert_eq!(member::<i64>(None), Member::Absent);
        assert_eq!(member("".parse::<OptionValue<i64>>().ok()), Member::Null);
        assert_eq!(member("7".parse::<OptionValue<i64>>().ok()), Member::Value(7));
        assert!("x".parse::<OptionValue<i64>>().is_err());
        assert_eq!(members(Some(vec![String::new()])), Member::Value(vec![]));
    }

    #[test]
    fn expiry_and_pairs() {
        assert_eq!("never".parse(), Ok(Expiry(TokenExpiry::Never {})));
        assert_eq!("60".parse(), Ok(Expiry(TokenExpiry::After { seconds: 60 })));
        assert!("soon".parse::<Expiry>().is_err());
        assert_eq!("a=b=c".parse(), Ok(Pair("a".into(), "b=c".into())));
        assert!("a".parse::<Pair>().is_err());
        let patch = metadata(vec!["a=".parse().unwrap()], vec!["b".to_owned()]);
        let expected = BTreeMap::from([("a".to_owned(), Some(String::new())), ("b".to_owned(), None)]);
        assert_eq!(patch.value(), Some(&expected));
    }
}
