//! The chart of a client's days: for each day the tokens that the client got, and above them its refused requests. This file
//! has the numbers and the texts; the template draws them.

use crate::console::moment;
use crate::model::usage::DayUsage;

/// The height of the drawing, in units of its `viewBox`.
const HEIGHT: i64 = 100;

/// The width of a day, with the gap beside it.
const STEP: i64 = 10;

/// The least height of a bar that is not empty, so that it is seen beside bars that are much higher.
const LEAST: i64 = 2;

/// The drawing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chart {
    pub(super) width: i64,
    pub(super) height: i64,
    /// The numbers at the top, the middle and the bottom.
    pub(super) scale: [String; 3],
    /// The first day, one in the middle, and the last.
    pub(super) days: [String; 3],
    /// What the drawing says, for people who do not see it.
    pub(super) text: String,
    pub(super) bars: Vec<Bar>,
}

/// A day: two bars on top of each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) text: String,
    pub(super) issued_y: i64,
    pub(super) issued_height: i64,
    pub(super) refused_y: i64,
    pub(super) refused_height: i64,
}

/// How often requests were refused on a day.
pub(super) fn refused_on(day: &DayUsage) -> i64 {
    day.refused.values().sum()
}

/// Draws days, the oldest first.
pub(super) fn draw(days: &[DayUsage]) -> Chart {
    let most = days.iter().map(|day| day.issued + refused_on(day)).max().unwrap_or_default();
    let top = top_of(most);
    let height = |times: i64| match times {
        0 => 0,
        times => (times.saturating_mul(HEIGHT) / top).max(LEAST),
    };
    let bar = |(x, day): (i64, &DayUsage)| {
        let refused = refused_on(day);
        // If a day has both, the smaller bar is still seen, and both stay within the drawing.
        let refused_height = height(refused);
        let issued_height = height(day.issued).min(HEIGHT - refused_height);
        Bar {
            x,
            text: format!("{}: {}", moment::day(day.day), in_words(day.issued, refused)),
            issued_y: HEIGHT - issued_height,
            issued_height,
            refused_y: HEIGHT - issued_height - refused_height,
            refused_height,
        }
    };
    let named = |at: usize| days.get(at).map(|day| moment::day(day.day)).unwrap_or_default();
    let issued = days.iter().map(|day| day.issued).sum();
    let refused = days.iter().map(refused_on).sum();
    let count = i64::try_from(days.len()).unwrap_or_default();
    Chart {
        width: count * STEP,
        height: HEIGHT,
        scale: [top, top / 2, 0].map(grouped),
        days: [named(0), named(days.len() / 2), named(days.len().saturating_sub(1))],
        text: format!("The last {count} days, a bar for each: {}.", in_words(issued, refused)),
        bars: (0..).step_by(10).zip(days).map(bar).collect(),
    }
}

/// `3 tokens, 1 refusal`
pub(super) fn in_words(issued: i64, refused: i64) -> String {
    let words = |number: i64, noun: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{} {noun}{plural}", grouped(number))
    };
    format!("{}, {}", words(issued, "token"), words(refused, "refusal"))
}

/// A number with commas between the thousands: `12,345`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The tops that a scale may have, each times a power of ten. They are so close to each other that the bars fill most of the
/// drawing.
const TOPS: [i64; 9] = [10, 12, 15, 20, 30, 40, 50, 60, 80];

/// The smallest round and even number that is at least `most`. It is even, because the middle of the scale shows half of it. If
/// `most` is so large that there is none, `most` itself.
fn top_of(most: i64) -> i64 {
    if let Some(top) = [2, 4, 6, 8, 10].into_iter().find(|top| *top >= most) {
        return top;
    }
    let mut unit: i64 = 1;
    while unit < i64::MAX / 100 {
        if let Some(top) = TOPS.map(|times| times * unit).into_iter().find(|top| *top >= most && top % 2 == 0)
        {
            return top;
        }
        unit *= 10;
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(at: i64, issued: i64, refused: i64) -> DayUsage {
        let refused = [("wrong_secret", refused)].into_iter().filter(|(_, times)| *times > 0).collect();
        DayUsage { day: at * 86_400, issued, refused }
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_top_of_a_scale_is_round_and_even_unless_it_is_huge() {
        for (most, top) in
            [(0, 2), (1, 2), (2, 2), (3, 4), (10, 10), (11, 12), (61, 80), (1_234, 1_500), (10_161, 12_000)]
        {
            assert_eq!(top_of(most), top, "{most}");
        }
        assert_eq!(top_of(i64::MAX / 4), i64::MAX / 4);
    }

    #[test]
    fn bars_stay_within_the_drawing_and_its_texts_have_the_numbers() {
        let days = [day(0, 0, 0), day(1, 1_000, 1), day(2, 1, 999), day(3, 0, 1_000), day(4, 1_000_000, 1)];
        let chart = draw(&days);
        assert_eq!(chart.scale, ["1,200,000", "600,000", "0"]);
        assert_eq!(chart.days, ["1 Jan 1970", "3 Jan 1970", "5 Jan 1970"]);
        assert_eq!(chart.text, "The last 5 days, a bar for each: 1,001,001 tokens, 2,001 refusals.");
        for bar in &chart.bars {
            assert!(bar.refused_y >= 0 && bar.issued_y + bar.issued_height == HEIGHT, "{bar:?}");
            assert_eq!(bar.refused_y + bar.refused_height, bar.issued_y, "{bar:?}");
        }
        assert_eq!((chart.bars[0].issued_height, chart.bars[0].refused_height), (0, 0));
        assert_eq!((chart.bars[4].issued_height, chart.bars[4].refused_height), (83, LEAST));
        assert_eq!(chart.bars[4].text, "5 Jan 1970: 1,000,000 tokens, 1 refusal");
        assert_eq!(chart.bars.iter().map(|bar| bar.x).collect::<Vec<_>>(), [0, 10, 20, 30, 40]);
    }
}
