//! What the browser brings back from a provider (RFC 6749 §4.1.2, RFC 9207 §2).

use super::refused::Refused;

/// The most bytes of a parameter; a reply with a longer one is refused.
const VALUE_MAX: usize = 8 * 1024;
/// `error` and its description are shown up to this length, in characters.
const SHOWN_MAX: usize = 200;

/// The parameters of a provider's reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) state: String,
    pub(super) code: String,
    pub(super) iss: Option<String>,
    /// Why the provider refused: the error code, and the description if there is one.
    pub(super) error: Option<String>,
}

impl Reply {
    /// Reads a query. A parameter that comes twice is refused, since it could be read in two ways.
    pub(super) fn read(query: &str) -> Result<Self, Refused> {
        let mut found: [Option<String>; 5] = Default::default();
        let names = ["state", "code", "iss", "error", "error_description"];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = names.iter().zip(&mut found).find(|(known, _)| **known == name).map(|(_, slot)| slot);
            let Some(slot) = slot else { continue };
            if value.len() > VALUE_MAX || value.contains(['\0', '\u{fffd}']) {
                return Err(Refused::Reply("a parameter is too long or not text"));
            }
            if slot.replace(value.into_owned()).is_some() {
                return Err(Refused::Reply("a parameter comes twice"));
            }
        }
        let [state, code, iss, error, description] = found;
        let (state, code) = (state.unwrap_or_default(), code.unwrap_or_default());
        if state.is_empty() {
            return Err(Refused::Reply("it has no state"));
        }
        if code.is_empty() && error.is_none() {
            return Err(Refused::Reply("it has no code"));
        }
        let error = error.map(|error| shown(&error, description.as_deref()));
        Ok(Self { state, code, iss, error })
    }
}

/// An error of a provider in one line.
fn shown(error: &str, description: Option<&str>) -> String {
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect::<String>();
    match description {
        Some(description) if !description.is_empty() => format!("{}: {}", plain(error), plain(description)),
        _ => plain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_with_a_code_and_one_with_an_error_are_read() {
        let reply = Reply::read("code=a%2Bb&state=s&iss=https%3A%2F%2Fa.example&session_state=x").unwrap();
        assert_eq!((reply.code.as_str(), reply.state.as_str()), ("a+b", "s"));
        assert_eq!((reply.iss.as_deref(), reply.error), (Some("https://a.example"), None));
        let refusal = Reply::read("error=access_denied&error_description=not%0Ayou&state=s").unwrap();
        assert_eq!(refusal.error.as_deref(), Some("access_denied: notyou"));
    }

    #[test]
    fn a_reply_with_a_missing_repeated_overlong_or_non_text_parameter_is_refused() {
        for query in [
            "",
            "code=c",
            "state=s",
            "code=c&state=",
            "code=&state=s",
            "code=c&state=s&state=t",
            "code=c&code=c&state=s",
            "code=c&state=s&iss=a&iss=b",
            "code=c%00&state=s",
            "code=%ff&state=s",
        ] {
            assert!(matches!(Reply::read(query), Err(Refused::Reply(_))), "{query}");
        }
        assert!(Reply::read(&format!("code={}&state=s", "a".repeat(VALUE_MAX + 1))).is_err());
    }
}
