//! Reads a form that a browser sent: `application/x-www-form-urlencoded`, at most 64 KiB. Also writes it, to
//! keep it as a draft.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::door::Door;
use super::stop::Stop;
use crate::http::body::{self, BodyError, has_type};
use crate::http::connection::PendingBody;
use crate::kernel::Precondition;

/// The largest body, in bytes.
const LIMIT: usize = 64 * 1024;
/// How many fields a form may have.
const FIELDS_MAX: usize = 1_000;

/// The fields of a form, in the order in which they were sent. A name may repeat, as check boxes do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 415 for another media type or a compressed body, 413 above 64 KiB, 408 if the body is too slow, and 400 if the body is
    /// incomplete, has bytes that are no text, or has more than 1000 fields.
    pub(super) async fn read(
        door: &Door,
        request: &HttpRequest,
        body: &mut PendingBody,
    ) -> Result<Self, Stop> {
        let headers = request.headers();
        body::must_be_plain(headers).map_err(refused)?;
        if !has_type(headers, &["application/x-www-form-urlencoded"]) {
            return Err(Stop::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "This is not a form",
                "The console takes forms that its own pages send. Programs use the management API under /v1.",
            ));
        }
        let bytes = body::read(headers, body, LIMIT, door.request_timeout).await.map_err(refused)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Stop> {
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            // The decoder replaces bytes that are not UTF-8 by U+FFFD.
            if fields.len() >= FIELDS_MAX
                || [&name, &value].iter().any(|text| text.contains(['\0', '\u{fffd}']))
            {
                return Err(unreadable());
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// The value of a field, the first if it repeats; empty if it was not sent.
    pub(super) fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The value of a field without white space at its ends.
    pub(super) fn trimmed(&self, name: &str) -> &str {
        self.one(name).trim()
    }

    /// The text of a field of several lines, with line feeds as line ends, since browsers send CR LF; `None` if it was left
    /// empty. If the text was not changed, this is `before`, with the white space and line ends that `before` has.
    pub(super) fn text(&self, name: &str, before: Option<&str>) -> Option<String> {
        let typed = with_line_feeds(self.one(name));
        match before.filter(|before| with_line_feeds(before) == typed) {
            Some(before) => Some(before.to_owned()),
            None => Some(typed.trim().to_owned()).filter(|text| !text.is_empty()),
        }
    }

    /// The version of the record that the form was filled from. A form without a version sets no condition; a version that
    /// cannot be read matches no record.
    pub(super) fn version(&self) -> Precondition {
        match self.one("version") {
            "" => Precondition::None,
            text => Precondition::Versions(text.parse().into_iter().collect()),
        }
    }

    /// Every value of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a check box is set, or a button was used.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The entries of a field, separated by line ends, commas or semicolons. Empty entries are left out.
    pub(super) fn entries(&self, name: &str) -> Vec<String> {
        let parts = self.one(name).split(['\n', '\r', ',', ';']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// Adds a field.
    pub(super) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// The form without these fields.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// The fields as `application/x-www-form-urlencoded`.
    pub(super) fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The inverse of [`Form::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Form {
    fn from(fields: [(&str, &str); N]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn unreadable() -> Stop {
    Stop::new(
        StatusCode::BAD_REQUEST,
        "This form cannot be read",
        "Go back, reload the page, and send it again.",
    )
}

fn refused(error: BodyError) -> Stop {
    match error {
        BodyError::Encoded => Stop::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "This form cannot be read",
            "It was sent compressed. The console takes plain forms only.",
        ),
        BodyError::TooLarge => Stop::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "This form is too large",
            "A form may have at most 64 KiB. Go back and shorten what you typed or pasted.",
        ),
        BodyError::TooSlow => Stop::new(
            StatusCode::REQUEST_TIMEOUT,
            "The form did not arrive in time",
            "Nothing was changed. Check your connection, go back, and send it again.",
        ),
        BodyError::Incomplete => unreadable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_repeat_and_are_read_by_name() {
        let form =
            Form::parse(b"product=gst&product=tax&label=+SAP+&ips=10.0.0.1%0D%0A10.0.0.2,+10.0.0.3%0A")
                .unwrap();
        assert_eq!(form.all("product").collect::<Vec<_>>(), ["gst", "tax"]);
        assert_eq!((form.one("product"), form.trimmed("label"), form.one("missing")), ("gst", "SAP", ""));
        assert_eq!(form.entries("ips"), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert!(form.has("label") && !form.has("missing"));
        assert_eq!(
            Form::decode(form.without(&["ips"]).encode().as_bytes()).encode(),
            "product=gst&product=tax&label=+SAP+"
        );
    }

    #[test]
    fn a_version_that_cannot_be_read_matches_no_record() {
        let version = |text: &str| Form::from([("version", text)]).version();
        assert_eq!(Form::default().version(), Precondition::None);
        assert_eq!(version("7"), Precondition::Versions(vec![7]));
        for unreadable in ["x", "7 ", "99999999999999999999"] {
            assert_eq!(version(unreadable), Precondition::Versions(Vec::new()), "{unreadable}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_and_too_many_fields_are_refused() {
        for bad in [&b"a=%ff"[..], b"a=%00", b"%c0%80=a"] {
            assert!(Form::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Form::parse("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
    }
}
