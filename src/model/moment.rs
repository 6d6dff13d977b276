//! Instants and spans in words, in UTC.

use time::OffsetDateTime;

use super::clock::UnixSeconds;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// `21 Sep 2026, 14:13 UTC`
pub(crate) fn exact(at: UnixSeconds) -> String {
    format!("{}, {} UTC", day(at), clock(at))
}

/// `21 Sep 2026, 14:13:20 UTC`
pub(crate) fn exact_to_the_second(at: UnixSeconds) -> String {
    format!("{}, {}:{:02} UTC", day(at), clock(at), utc(at).second())
}

/// `21 Sep 2026`
pub(crate) fn day(at: UnixSeconds) -> String {
    let at = utc(at);
    let month = at.month().to_string();
    format!("{} {} {}", at.day(), month.get(..3).unwrap_or(&month), at.year())
}

/// `14:13`
pub(crate) fn clock(at: UnixSeconds) -> String {
    let at = utc(at);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

fn utc(at: UnixSeconds) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// How long ago: `just now`, `3 hours ago`; from 31 days on, the date.
pub(crate) fn ago(now: UnixSeconds, at: UnixSeconds) -> String {
    match now.saturating_sub(at) {
        ..MINUTE => "just now".to_owned(),
        passed if passed < 31 * DAY => format!("{} ago", about(passed)),
        _ => day(at),
    }
}

/// How long until: `in 3 hours`, and `now` for an instant that has passed.
pub(crate) fn until(now: UnixSeconds, at: UnixSeconds) -> String {
    match at.saturating_sub(now) {
        ..=0 => "now".to_owned(),
        left if left < MINUTE => "in less than a minute".to_owned(),
        left => format!("in {}", about(left)),
    }
}

/// A span in its largest unit, rounded down.
fn about(seconds: i64) -> String {
    match seconds {
        ..HOUR => count(seconds / MINUTE, "minute"),
        HOUR..DAY => count(seconds / HOUR, "hour"),
        _ => count(seconds / DAY, "day"),
    }
}

/// A span exactly, in the largest unit that divides it: `1 hour`, `90 days`, `90 minutes`. 365 days are `1 year`.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        31_536_000 => "1 year".to_owned(),
        s if s % DAY == 0 => count(s / DAY, "day"),
        s if s % HOUR == 0 => count(s / HOUR, "hour"),
        s if s % MINUTE == 0 => count(s / MINUTE, "minute"),
        s => count(s, "second"),
    }
}

/// `1 token`, `2 tokens`.
pub(crate) fn count(number: impl Into<i64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_spans_are_written_in_words() {
        let now = 1_790_000_000;
        assert_eq!(exact(now), "21 Sep 2026, 14:13 UTC");
        assert_eq!(exact_to_the_second(now), "21 Sep 2026, 14:13:20 UTC");
        assert_eq!((day(now), clock(now)), ("21 Sep 2026".to_owned(), "14:13".to_owned()));
        for (passed, words) in [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7300, "2 hours ago"),
            (3 * DAY, "3 days ago"),
        ] {
            assert_eq!(ago(now, now - passed), words);
        }
        assert_eq!(ago(now, now - 40 * DAY), "12 Aug 2026");
        for (left, words) in
            [(0, "now"), (5, "in less than a minute"), (HOUR, "in 1 hour"), (90 * DAY, "in 90 days")]
        {
            assert_eq!(until(now, now + left), words);
        }
        for (seconds, words) in [
            (3600, "1 hour"),
            (86_400, "1 day"),
            (31_536_000, "1 year"),
            (5400, "90 minutes"),
            (61, "61 seconds"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }
}
