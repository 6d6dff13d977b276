//! Escapes log values, so that a log line stays one line and cannot imitate another.

use std::fmt::{self, Write};

/// Whether `c` could end a line, move a terminal's cursor, be invisible, or show text in another order than it is written in.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Whether `is` holds for every byte. Has no branch for each byte, since the processor would often predict it wrong.
fn all_are(text: &str, is: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is(byte))
}

/// Passes text on with deceptive characters written like `\u001b`, and with a backslash before each `"` and `\`, as inside a
/// JSON string or a quoted text.
pub(super) struct Escaped<'a, W>(pub(super) &'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if all_are(text, is_plain) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|c| match c {
            '"' | '\\' => {
                self.0.write_char('\\')?;
                self.0.write_char(c)
            }
            // All of them are below U+10000, so four digits are enough.
            c if is_deceptive(c) => write!(self.0, "\\u{:04x}", u32::from(c)),
            c => self.0.write_char(c),
        })
    }
}

/// Writes a value for people: unchanged if it is one word, else in quotes.
pub(super) fn word_or_quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    if !text.is_empty() && all_are(text, |byte| is_plain(byte) && byte != b' ' && byte != b'=') {
        return out.write_str(text);
    }
    out.write_char('"')?;
    Escaped(out).write_str(text)?;
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        word_or_quoted(&mut out, text).unwrap();
        out
    }

    #[test]
    fn words_are_bare_and_the_rest_is_in_quotes() {
        for word in ["cl_1", "/v1/products/{product}", "127.0.0.1", "[::1]:80", "a,b;c"] {
            assert_eq!(quoted(word), word);
        }
        for (text, shown) in [
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            ("say \"x\\\"", r#""say \"x\\\"""#),
            ("é", r#""é""#),
            ("a\r\nb\0", r#""a\u000d\u000ab\u0000""#),
            ("\u{1b}[2J\u{9b}\u{7f}", r#""\u001b[2J\u009b\u007f""#),
            ("\u{202e}\u{2028}\u{200b}\u{feff}", r#""\u202e\u2028\u200b\ufeff""#),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }

    #[test]
    fn json_reads_back_what_was_escaped() {
        let all: String = (0..0x1_0400).filter_map(char::from_u32).collect();
        let mut out = String::from('"');
        Escaped(&mut out).write_str(&all).unwrap();
        out.push('"');
        assert!(!out.chars().any(is_deceptive));
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), all);
    }
}
