//! Entity tags and conditional requests (RFC 9110 §8.8.3, §13.1): the version of a record as `ETag`, preconditions on it,
//! and public replies that may be cached, with 304 if the client has them already (RFC 9111).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

/// The entity tag of a version of a record.
pub(crate) fn version_tag(version: i64) -> String {
    format!("\"v{version}\"")
}

/// The content of `If-Match`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Any version: the header is `*`, or there is none.
    Any,
    /// One of these versions. A weak tag counts too, although `If-Match` requires the strong comparison (RFC 9110 §13.1.1):
    /// a proxy that compresses replies makes tags weak, and the version of a record does not depend on the encoding.
    Versions(Vec<i64>),
    /// The header is not a list of entity tags.
    Malformed,
}

impl IfMatch {
    /// Reads the header of a request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        match Tags::of(request, header::IF_MATCH) {
            Tags::Absent | Tags::Any => Self::Any,
            Tags::These(tags) => Self::Versions(tags.iter().filter_map(Tag::version).collect()),
            Tags::Unreadable => Self::Malformed,
        }
    }
}

/// The beginning of a public reply that may be cached.
pub(crate) struct Cacheable {
    /// With the status, the headers for caching and `Access-Control-Allow-Origin` set.
    pub(crate) builder: HttpResponseBuilder,
    /// Whether the client has it already, so that no body follows.
    pub(crate) is_not_modified: bool,
}

impl Cacheable {
    /// A reply with the strong `etag` (quotes included) that may be used for `max_age` seconds.
    pub(crate) fn for_seconds(request: &HttpRequest, etag: &str, max_age: i64) -> Self {
        Self::new(request, etag, &format!("public, max-age={max_age}"))
    }

    /// A reply with the strong `etag` (quotes included) that may be stored, but must be revalidated.
    pub(crate) fn revalidated(request: &HttpRequest, etag: &str) -> Self {
        Self::new(request, etag, "no-cache")
    }

    fn new(request: &HttpRequest, etag: &str, cache_control: &str) -> Self {
        let is_not_modified = match Tags::of(request, header::IF_NONE_MATCH) {
            Tags::Absent | Tags::Unreadable => false,
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| etag.trim_matches('"') == tag.opaque),
        };
        let status = if is_not_modified { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut builder = HttpResponse::build(status);
        builder.insert_header((header::CACHE_CONTROL, cache_control));
        if let Ok(etag) = HeaderValue::from_str(etag) {
            builder.insert_header((header::ETAG, etag));
        }
        // Scripts of any origin may read the reply: it is public and the same for everyone.
        builder.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        Self { builder, is_not_modified }
    }
}

/// Whether `If-None-Match` says that the client has this version. A malformed header is ignored: then the client gets the
/// full reply.
pub(crate) fn none_match(request: &HttpRequest, version: i64) -> bool {
    match Tags::of(request, header::IF_NONE_MATCH) {
        Tags::Absent | Tags::Unreadable => false,
        Tags::Any => true,
        Tags::These(tags) => tags.iter().any(|tag| tag.version() == Some(version)),
    }
}

/// A header that lists entity tags.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Absent,
    Any,
    These(Vec<Tag>),
    Unreadable,
}

impl Tags {
    /// The tags of a header, which may come in several lines.
    fn of(request: &HttpRequest, name: HeaderName) -> Self {
        let mut lines = request.headers().get_all(name).peekable();
        if lines.peek().is_none() {
            return Self::Absent;
        }
        let lines: Option<Vec<&str>> = lines.map(|line| line.to_str().ok()).collect();
        lines.and_then(|lines| Self::parse(&lines.join(","))).unwrap_or(Self::Unreadable)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim_matches([' ', '\t']);
        if rest == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return (!tags.is_empty()).then_some(Self::These(tags));
            }
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
            // There may be a comma within the quotes, but no quote.
            let (opaque, after) = quoted.split_once('"')?;
            if !opaque.bytes().all(|b| b == 0x21 || (0x23..=0x7e).contains(&b)) {
                return None;
            }
            tags.push(Tag { opaque: opaque.to_owned() });
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    opaque: String,
}

impl Tag {
    /// The version in it, if it is a tag that Mintmark creates.
    fn version(&self) -> Option<i64> {
        let digits = self.opaque.strip_prefix('v')?;
        let version = digits.parse().ok()?;
        // Mintmark does not create tags like `v01` and `v+1`.
        (version_tag(version) == format!("\"{}\"", self.opaque)).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(lines: &[&str]) -> HttpRequest {
        let with = |request: TestRequest, line: &&str| {
            request.append_header((header::IF_MATCH, *line)).append_header((header::IF_NONE_MATCH, *line))
        };
        lines.iter().fold(TestRequest::default(), with).to_http_request()
    }

    #[test]
    fn if_match_allows_any_version_or_those_it_names_and_other_content_is_malformed() {
        let versions = |versions: &[i64]| IfMatch::Versions(versions.to_vec());
        for (lines, expected) in [
            (&[][..], IfMatch::Any),
            (&["*"][..], IfMatch::Any),
            (&[r#""v3""#][..], versions(&[3])),
            (&[r#""v3", W/"v4" ,"v5","x,y""#][..], versions(&[3, 4, 5])),
            (&[r#""v3""#, r#""v4""#][..], versions(&[3, 4])),
            (&[r#"W/"v3""#][..], versions(&[3])),
            (&[r#"W/"v03""#][..], versions(&[])),
            (&[r#""v03","v+3","v","3","""#][..], versions(&[])),
        ] {
            assert_eq!(IfMatch::of(&request(lines)), expected, "{lines:?}");
        }
        for bad in
            ["", "v3", "\"v3", "v3\"", "\"v3\" \"v4\"", "\"v3\"x", "w/\"v3\"", "*, \"v3\"", ",", "\"v 3\""]
        {
            assert_eq!(IfMatch::of(&request(&[bad])), IfMatch::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn if_none_match_uses_the_weak_comparison() {
        for (line, held) in [
            ("*", true),
            (r#""v3""#, true),
            (r#"W/"v3""#, true),
            (r#""v4", "v3""#, true),
            (r#""v4""#, false),
            ("v3", false),
        ] {
            assert_eq!(none_match(&request(&[line]), 3), held, "{line}");
        }
        assert!(!none_match(&request(&[]), 3));
    }
}
