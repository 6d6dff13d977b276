//! Rules for names, labels, descriptions and email addresses: nothing that could inject a header or change the reading
//! direction where the text is shown later, and line ends only in descriptions. [`shown`] makes any text fit for a mail.

use std::ops::RangeInclusive;

use super::field_errors::FieldErrors;
use super::member::Member;

/// The longest address SMTP carries (RFC 5321 §4.5.3.1.3, less the angle brackets).
const ADDRESS_MAX: usize = 254;
/// The longest local part (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;
/// The longest part of a domain between its dots (RFC 1035 §2.3.4).
const DOMAIN_LABEL_MAX: usize = 63;

/// How long a name or a label may be, in characters.
const NAME_LENGTH: RangeInclusive<usize> = 1..=200;

/// Applies a change to a name or a label, which is required and has the JSON pointer `pointer`. White space at its ends is
/// cut off. For a name that breaks a rule, an error is added to `errors`.
pub(crate) fn apply_name(
    pointer: &'static str,
    change: &Member<String>,
    name: &mut String,
    errors: &mut FieldErrors,
) {
    match change {
        Member::Absent => {}
        Member::Null => errors.add(pointer, "is required"),
        Member::Value(new) => match check_name(new.trim(), NAME_LENGTH) {
            Ok(()) => new.trim().clone_into(name),
            Err(why) => errors.add(pointer, why),
        },
    }
}

/// Whether `text` can be read and distinguished from others: the rule of [`check`], at least one visible character, and no
/// hidden ones.
pub(crate) fn check_name(text: &str, length: RangeInclusive<usize>) -> Result<(), String> {
    check(text, length)?;
    if !has_visible(text) {
        return Err("must have at least 1 visible character".to_owned());
    }
    let (mut before, mut rest) = (None, text.chars().peekable());
    while let Some(c) = rest.next() {
        if is_zero_width(c) && !(is_joiner(c) && is_joined(before) && is_joined(rest.peek().copied())) {
            return Err(
                "must have no zero-width characters, except joiners within Indic or Arabic words and emoji"
                    .to_owned(),
            );
        }
        before = Some(c);
    }
    Ok(())
}

/// `text` as it can be shown in a mail, whatever it contains: white space and line ends as single spaces, no hidden characters
/// and none that change the reading direction, and at most `max` characters; what is longer ends in an ellipsis.
pub(crate) fn shown(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let (mut length, mut is_after_space) = (0, false);
    let (mut before, mut rest) = (None, text.chars().peekable());
    while let Some(c) = rest.next() {
        let joins = is_joiner(c) && is_joined(before) && is_joined(rest.peek().copied());
        before = Some(c);
        if is_zero_width(c) && !joins {
            continue;
        }
        if c.is_whitespace() || is_unprintable(c) {
            // The space is written before the next character, so that none is left at the end.
            is_after_space = !shown.is_empty();
            continue;
        }
        let more = 1 + usize::from(is_after_space);
        if length + more > max {
            if length == max {
                shown.pop();
            }
            shown.truncate(shown.trim_end().len());
            shown.push('…');
            return shown;
        }
        if std::mem::take(&mut is_after_space) {
            shown.push(' ');
        }
        shown.push(c);
        length += more;
    }
    shown
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a joiner can belong to this neighbouring character: ASCII characters are never joined.
fn is_joined(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| !c.is_ascii() && !c.is_whitespace() && !is_zero_width(c))
}

/// Whether `text` has a length (in characters) within `length` and no control, line-breaking or bidirectional
/// formatting character. The error is the rule that it breaks.
pub(crate) fn check(text: &str, length: RangeInclusive<usize>) -> Result<(), String> {
    let (min, max) = (*length.start(), *length.end());
    let count = text.chars().count();
    if count < min {
        return Err(format!("must have at least {min} visible character{}", if min == 1 { "" } else { "s" }));
    }
    if count > max {
        return Err(format!("must have at most {max} characters; it has {count}"));
    }
    if text.chars().any(is_unprintable) {
        return Err("must have no control, line-breaking or bidirectional formatting characters".to_owned());
    }
    Ok(())
}

/// Whether `text` has a visible character: not white space, not a format character, and not one that is drawn as nothing.
pub(crate) fn has_visible(text: &str) -> bool {
    text.chars().any(|c| {
        !c.is_whitespace()
            && !is_unprintable(c)
            && !is_zero_width(c)
            // Hangul fillers, the blank Braille pattern, inherent Khmer vowels, and variation selectors.
            && !matches!(c,
                '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{2800}'
                | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
    })
}

/// Characters without width that could hide in a name: zero-width joiners and spaces, the soft hyphen, format and tag
/// characters (Unicode, `Default_Ignorable_Code_Point`).
fn is_zero_width(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// The rule for text of several lines: at most `max` characters including line ends (LF, CR LF, CR), otherwise the rule of
/// [`check`], and no zero-width space, word joiner or byte order mark. Zero-width joiners are allowed, since Indic scripts and
/// emoji need them.
pub(crate) fn check_lines(text: &str, max: usize) -> Result<(), String> {
    let count = text.chars().count();
    if count > max {
        return Err(format!("must have at most {max} characters; it has {count}"));
    }
    let refused = |c| is_unprintable(c) && !matches!(c, '\n' | '\r');
    if text.chars().any(|c| refused(c) || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')) {
        return Err(
            "must have no control characters but line ends, and no bidirectional formatting or zero-width \
             characters"
                .to_owned(),
        );
    }
    Ok(())
}

/// Control characters, and those that change line breaks or the reading direction.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a mail can be sent to `address`: `local@domain` in plain ASCII, unquoted, at most 254 bytes.
/// Stricter than RFC 5322, whose comments, quotes and literals only an attacker needs. The error is the rule that it breaks.
pub(crate) fn check_address(address: &str) -> Result<(), String> {
    let Some((local, domain)) = address.split_once('@') else {
        return Err("must be an email address: name@example.com".to_owned());
    };
    if !address.is_ascii() {
        return Err("must be plain ASCII: write an internationalised domain in its `xn--` form".to_owned());
    }
    if !is_local_part(local) || !is_domain(domain) {
        return Err(
            "must be an email address like name@example.com: one @, no spaces, quotes or comments".to_owned()
        );
    }
    // Lengths are checked last, so that an error about a length means that the rest of the address is well-formed.
    if local.len() > LOCAL_PART_MAX {
        let length = local.len();
        return Err(format!("must have at most {LOCAL_PART_MAX} characters before the @; it has {length}"));
    }
    if let Some(label) = domain.split('.').find(|label| label.len() > DOMAIN_LABEL_MAX) {
        let length = label.len();
        return Err(format!(
            "must have at most {DOMAIN_LABEL_MAX} characters in each part of its domain; one has {length}"
        ));
    }
    if address.len() > ADDRESS_MAX {
        return Err(format!("must have at most {ADDRESS_MAX} characters; it has {}", address.len()));
    }
    Ok(())
}

/// A dot-atom (RFC 5322 §3.2.3) that no mail program would decode as an encoded word (RFC 2047).
fn is_local_part(local: &str) -> bool {
    !local.contains("=?")
        && local.split('.').all(|atom| {
            !atom.is_empty()
                && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
        })
}

/// A host name (RFC 1123 §2.1).
fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_wrong_length_or_that_breaks_lines_or_direction_is_refused() {
        for good in ["a", "SAP S/4HANA – Produktion", "जीएसटी", "=?utf-8?q?x?=", &"ä".repeat(200)]
        {
            assert_eq!(check(good, 1..=200), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "a\nb",
            "a\r\nBcc: x",
            "\0",
            "\u{1b}[31m",
            "\u{85}",
            "a\u{202e}b",
            "\u{2066}a",
            "\u{200f}",
            "a\u{2028}b",
            &"x".repeat(201),
        ] {
            assert!(check(bad, 1..=200).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_has_a_visible_character_and_no_hidden_ones() {
        let applied = |text: &str| {
            let (mut name, mut errors) = ("old".to_owned(), FieldErrors::default());
            apply_name("/name", &Member::Value(text.to_owned()), &mut name, &mut errors);
            assert_eq!(name == "old", errors.has("/name"), "{text:?}: {name:?}");
            (name != "old").then_some(name)
        };
        for (text, name) in [
            ("ERP", "ERP"),
            ("  SAP  S/4HANA\t", "SAP  S/4HANA"),
            ("\u{3000}\u{a0}ERP\r\n", "ERP"),
            ("जीएसटी", "जीएसटी"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
            ("क्\u{200d}ष", "क्\u{200d}ष"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("\u{115f}\u{1161}", "\u{115f}\u{1161}"),
            (".", "."),
            (&format!(" {} ", "ä".repeat(200)), &"ä".repeat(200)),
        ] {
            assert_eq!(applied(text).as_deref(), Some(name), "{text:?}");
        }
        for text in [
            "",
            " ",
            "\t\r\n",
            "\u{a0}",
            "\u{3000}",
            "\u{2028}",
            "\u{200b}",
            "\u{feff}",
            "\u{200d}\u{200d}",
            "\u{ad}",
            "\u{2800}",
            "\u{3164}",
            "\u{115f} \u{1160}",
            "\u{ffa0}",
            "\u{fe0f}",
            "\u{e0061}",
            "a\u{200b}b",
            "a\u{200c}",
            "ER\u{200d}P",
            "ä\u{200d}",
            "ä\u{200d}\u{200d}ä",
            "\u{feff}ERP",
            "a\u{ad}b",
            "a\u{2060}b",
            "a\u{e0061}",
            "a\u{202e}b",
            "a\u{0}b",
            &"ä".repeat(201),
        ] {
            assert_eq!(applied(text), None, "{text:?}");
        }
    }

    #[test]
    fn shown_text_is_one_line_without_hidden_characters() {
        for (text, expected) in [
            ("SAP S/4HANA", "SAP S/4HANA"),
            ("  a\r\n Bcc: x\t\0b ", "a Bcc: x b"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "a b cd"),
            ("क्\u{200d}ष", "क्\u{200d}ष"),
            ("<script>", "<script>"),
            ("\u{2028}", ""),
            ("0123456789", "0123456789"),
            ("0123456789a", "012345678…"),
            ("01234567 9a", "01234567…"),
        ] {
            // At most 10 characters, or as many as a longer expected text has.
            assert_eq!(shown(text, 10_usize.max(expected.chars().count())), expected, "{text:?}");
        }
        assert_eq!(shown(&"ä".repeat(10_000), 200).chars().count(), 200);
    }

    #[test]
    fn text_of_several_lines_may_have_line_ends_and_joiners_but_no_other_control_characters() {
        for good in ["", "a", "a\nb\r\nc\rd\n", "क्‍ष", "👩‍💻", &"ä".repeat(500)] {
            assert_eq!(check_lines(good, 500), Ok(()), "{good:?}");
        }
        for bad in [
            "a\tb",
            "\0",
            "\u{1b}[31m",
            "\u{7f}",
            "\u{85}",
            "a\u{202e}b",
            "\u{2066}a",
            "a\u{2028}b",
            "a\u{200b}b",
            "a\u{2060}b",
            "\u{feff}a",
            &"ä".repeat(501),
        ] {
            assert!(check_lines(bad, 500).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_a_plain_local_part_and_domain_of_limited_length() {
        let b = "b".repeat(62);
        let longest = format!("{}@{b}.{b}.{b}b", "a".repeat(64));
        assert_eq!(longest.len(), 254);
        for good in ["a@b", "finance-it@acme.example", "o'neil+erp@mail.acme-in.example", &longest] {
            assert_eq!(check_address(good), Ok(()), "{good:?}");
        }
        let long = format!("{longest}.c");
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            " a@b",
            "a@b ",
            "a@b\r\nBcc: x@y",
            "a@b\0",
            "\"a b\"@c",
            "a@[127.0.0.1]",
            "a@-b",
            "a@b..c",
            ".a@b",
            "a.@b",
            "a@b.",
            "ä@b",
            "a@bücher.example",
            "a\u{202e}@b",
            "<a@b>",
            "a@b,c@d",
            "a@b;c",
            "A Name <a@b>",
            "=?utf-8?q?x?=@b",
            &long,
            &format!("{}@b", "a".repeat(65)),
        ] {
            assert!(check_address(bad).is_err(), "{bad:?}");
        }
        for (too_long, why) in [
            (format!("{}@b", "a".repeat(65)), "must have at most 64 characters before the @; it has 65"),
            (
                format!("a@{}.b", "b".repeat(64)),
                "must have at most 63 characters in each part of its domain; one has 64",
            ),
            (long, "must have at most 254 characters; it has 256"),
        ] {
            assert_eq!(check_address(&too_long), Err(why.to_owned()));
        }
    }
}
