//! Values of options: durations, dates, pairs; and the members of a request that options set.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::model::clock::{Clock as _, SystemClock, UnixSeconds, from_rfc3339, to_rfc3339};

/// The value of an option; an empty text is the `null` of the management API, which resets a member.
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

/// A length of time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duration(pub(super) i64);

impl FromStr for Duration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
        let found = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
        let (number, seconds) = found.unwrap_or((text, 1));
        let number: Option<i64> = number.parse().ok();
        number
            .and_then(|number| number.checked_mul(seconds))
            .map(Self)
            .ok_or("write seconds, or a duration like 90s, 15m, 1h, 30d or 2w")
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        duration.0.into()
    }
}

/// The lifetime of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Never,
    After(Duration),
}

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Self::Never);
        }
        text.parse().map(Self::After).map_err(|_| "write `never`, seconds, or a duration like 15m, 1h or 30d")
    }
}

impl From<Expiry> for Value {
    fn from(expiry: Expiry) -> Self {
        match expiry {
            Expiry::Never => json!({ "mode": "never" }),
            Expiry::After(Duration(seconds)) => json!({ "mode": "after", "seconds": seconds }),
        }
    }
}

/// When a new token expires: `never`, after a lifetime, or at a date or an instant, which is turned into a lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenEnd(Expiry);

impl TokenEnd {
    fn parse(text: &str, now: UnixSeconds) -> Result<Self, &'static str> {
        let at = instant(text).map(|at| Ok(Expiry::After(Duration(at.saturating_sub(now)))));
        at.unwrap_or_else(|| text.parse()).map(Self).map_err(|_| {
            "write `never`, seconds, a duration like 30d, a date like 2027-01-31, or an instant like 2027-01-31T18:00:00Z"
        })
    }
}

impl FromStr for TokenEnd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, SystemClock.now())
    }
}

impl From<TokenEnd> for Value {
    fn from(TokenEnd(expiry): TokenEnd) -> Self {
        expiry.into()
    }
}

/// When something ends: `never`, a date, an instant, or a duration from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End(pub(super) Option<UnixSeconds>);

impl End {
    fn parse(text: &str, now: UnixSeconds) -> Result<Self, &'static str> {
        if text == "never" {
            return Ok(Self(None));
        }
        let span = || text.parse().ok().map(|Duration(seconds)| now.saturating_add(seconds));
        instant(text).or_else(span).map(|at| Self(Some(at))).ok_or(
            "write a date like 2027-01-31, an instant like 2027-01-31T18:00:00Z, `never`, or how long from now: seconds, or a \
             duration like 30d",
        )
    }
}

impl FromStr for End {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, SystemClock.now())
    }
}

impl From<End> for Value {
    fn from(End(at): End) -> Self {
        at.map(to_rfc3339).into()
    }
}

/// The instant before which something ends: a date, an instant, or a duration from now. `never` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before(pub(super) UnixSeconds);

impl Before {
    fn parse(text: &str, now: UnixSeconds) -> Result<Self, &'static str> {
        match End::parse(text, now) {
            Ok(End(Some(at))) => Ok(Self(at)),
            _ => Err(
                "write a date like 2027-01-31, an instant like 2027-01-31T18:00:00Z, or how long from now: seconds, or a \
                 duration like 30d",
            ),
        }
    }
}

impl FromStr for Before {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, SystemClock.now())
    }
}

impl From<Before> for Value {
    fn from(Before(at): Before) -> Self {
        to_rfc3339(at).into()
    }
}

/// The start or end of a period that is usually in the past: a date, an instant, or how long ago. A time in the future is
/// accepted too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past(pub(super) UnixSeconds);

impl Past {
    fn parse(text: &str, now: UnixSeconds) -> Result<Self, &'static str> {
        let span = || text.parse().ok().map(|Duration(seconds)| now.saturating_sub(seconds));
        instant(text).or_else(span).map(Self).ok_or(
            "write a date like 2026-11-23, an instant like 2026-11-23T08:00:00Z, or how long ago: seconds, or a duration like \
             24h",
        )
    }
}

impl FromStr for Past {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, SystemClock.now())
    }
}

/// An RFC 3339 instant, or the start of a day in UTC.
fn instant(text: &str) -> Option<UnixSeconds> {
    from_rfc3339(text).or_else(|| from_rfc3339(&format!("{text}T00:00:00Z")))
}

/// How many tokens of an API client are active at a time: `many`, `replace` or a number. Any text is accepted here; the
/// services check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count(String);

impl FromStr for Count {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl From<Count> for Value {
    fn from(Count(text): Count) -> Self {
        text.parse::<i64>().map_or_else(|_| Self::from(text), Self::from)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair(pub(super) String, pub(super) String);

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
        Ok(Self(key.to_owned(), value.to_owned()))
    }
}

/// The members of a request, by the names of the management API.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Adds a member if its option is given.
    #[must_use]
    pub(super) fn with(mut self, name: &str, given: Option<impl Into<Value>>) -> Self {
        if let Some(value) = given {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Adds a list if its option is given; an empty text is the empty list.
    #[must_use]
    pub(super) fn with_list(self, name: &str, given: Option<Vec<String>>) -> Self {
        let items = given.map(|items| items.into_iter().filter(|item| !item.is_empty()).collect::<Vec<_>>());
        self.with(name, items)
    }

    /// Adds a merge patch (RFC 7396) of a member that consists of pairs: it sets the pairs `set`, and removes those with the
    /// keys `removed`. Adds nothing if both are empty.
    #[must_use]
    pub(super) fn with_pairs(self, name: &str, set: Vec<Pair>, removed: Vec<String>) -> Self {
        let removed = removed.into_iter().map(|key| (key, Value::Null));
        let set = set.into_iter().map(|Pair(key, value)| (key, Value::from(value)));
        let pairs: Map<String, Value> = removed.chain(set).collect();
        self.with(name, (!pairs.is_empty()).then_some(pairs))
    }

    pub(super) fn into_body(self) -> Value {
        self.0.into()
    }
}

impl<T: Into<Value>> From<OptionValue<T>> for Value {
    fn from(given: OptionValue<T>) -> Self {
        match given {
            OptionValue::Empty => Self::Null,
            OptionValue::Value(value) => value.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15T08:00:00Z
    const NOW: UnixSeconds = 1_800_000_000;

    #[test]
    fn a_duration_is_seconds_or_a_whole_number_with_a_unit() {
        for (text, seconds) in [
            ("3600", 3600),
            ("90s", 90),
            ("15m", 900),
            ("1h", 3600),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
            ("-5", -5),
        ] {
            assert_eq!(text.parse(), Ok(Duration(seconds)), "{text}");
        }
        for bad in
            ["", "h", "1.5h", "1y", "1 h", "soon", "99999999999999999999", "9223372036854775807d", "1é"]
        {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lifetime_is_never_or_a_duration_and_for_a_new_token_also_a_date() {
        assert_eq!(Value::from("never".parse::<Expiry>().unwrap()), json!({"mode": "never"}));
        assert_eq!(Value::from("1h".parse::<Expiry>().unwrap()), json!({"mode": "after", "seconds": 3600}));
        assert!("2027-01-31".parse::<Expiry>().is_err());
        let end = |text| TokenEnd::parse(text, NOW).map(Value::from);
        assert_eq!(end("never"), Ok(json!({"mode": "never"})));
        assert_eq!(end("60"), Ok(json!({"mode": "after", "seconds": 60})));
        assert_eq!(end("2027-01-16"), Ok(json!({"mode": "after", "seconds": 57_600})));
        assert!(end("tomorrow").is_err());
    }

    #[test]
    fn a_time_is_a_day_in_utc_an_instant_or_a_duration_and_only_an_end_may_be_never() {
        let end = |text| End::parse(text, NOW).map(Value::from);
        assert_eq!(end("2027-01-31"), Ok(json!("2027-01-31T00:00:00Z")));
        assert_eq!(end("2027-01-31T05:30:00+05:30"), Ok(json!("2027-01-31T00:00:00Z")));
        assert_eq!(end("1d"), Ok(json!("2027-01-16T08:00:00Z")));
        assert_eq!(end("never"), Ok(json!(null)));
        assert!(end("31.01.2027").is_err() && end("2027-02-30").is_err());
        assert_eq!(Before::parse("1d", NOW), Ok(Before(NOW + 86_400)));
        assert_eq!(Before::parse("2027-01-31", NOW).map(Value::from), Ok(json!("2027-01-31T00:00:00Z")));
        assert!(Before::parse("never", NOW).is_err() && Before::parse("soon", NOW).is_err());
        assert_eq!(Past::parse("1h", NOW), Ok(Past(NOW - 3600)));
        assert_eq!(Past::parse("2027-01-15", NOW), Ok(Past(NOW - 28_800)));
        assert!(Past::parse("never", NOW).is_err());
    }

    #[test]
    fn members_are_left_out_null_or_set() {
        let body = Members::default()
            .with("absent", None::<i64>)
            .with("null", Some("".parse::<OptionValue<Duration>>().unwrap()))
            .with("set", Some("1m".parse::<OptionValue<Duration>>().unwrap()))
            .with("many", Some("many".parse::<OptionValue<Count>>().unwrap()))
            .with("five", Some("5".parse::<OptionValue<Count>>().unwrap()))
            .with_list("empty", Some(vec![String::new()]))
            .with_list("no_list", None)
            .with_pairs("pairs", vec!["a=b=c".parse().unwrap()], vec!["d".to_owned()])
            .with_pairs("no_pairs", vec![], vec![])
            .into_body();
        assert_eq!(
            body,
            json!({"null": null, "set": 60, "many": "many", "five": 5, "empty": [], "pairs": {"a": "b=c", "d": null}})
        );
        assert!("a".parse::<Pair>().is_err());
        assert!("x".parse::<OptionValue<Duration>>().is_err());
    }
}
