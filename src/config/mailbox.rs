//! An address in the header of a mail, with or without a name.

use crate::model::text::{check_address, check_name};

/// How long a name may be, in characters.
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 1..=100;

/// `tokens@example.com` or `Tokens of Example <tokens@example.com>`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The name that a mail program shows.
    pub name: Option<String>,
    /// The address: plain ASCII, unquoted.
    pub address: String,
}

impl Mailbox {
    /// Reads a mailbox.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text),
        };
        check_address(address)?;
        if !name.is_empty()
            && (check_name(name, NAME_LENGTH).is_err() || name.contains(['<', '>', '"', '\\']))
        {
            return Err("has a name that is too long or has characters that a name cannot have".to_owned());
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, address: address.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_name_and_other_texts_are_refused() {
        let parsed = |text: &str| Mailbox::parse(text).map(|mailbox| (mailbox.name, mailbox.address));
        let expect = |name: Option<&str>| Ok((name.map(str::to_owned), "a@b.example".to_owned()));
        assert_eq!(parsed("a@b.example"), expect(None));
        assert_eq!(parsed("<a@b.example>"), expect(None));
        assert_eq!(parsed("Tokens <a@b.example>"), expect(Some("Tokens")));
        assert_eq!(
            parsed("\"Tokens of Bücher, Inc.\" <a@b.example>"),
            expect(Some("Tokens of Bücher, Inc."))
        );
        for bad in [
            "",
            "a",
            "a@b.example, c@d.example",
            "Tokens a@b.example",
            "Tokens <a@b.example",
            "Tokens <a@b.example> x",
            "a\r\nBcc: x@y <a@b.example>",
            "a <b@c> <a@b.example>",
            "\u{202e}snekoT <a@b.example>",
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }
}
