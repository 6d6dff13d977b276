//! Entity tags: the version of a record as `ETag`, and the preconditions callers make of it (RFC 9110 §8.8.3, §13.1).

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

use super::problem::Problem;
use crate::kernel::Precondition;

/// The entity tag of a version of a record.
pub fn of(version: i64) -> String {
    format!("\"v{version}\"")
}

/// What `If-Match` asks for. A weak tag matches nothing, since the comparison is strong.
///
/// # Errors
/// 400 if the header is no list of entity tags: it was meant as a guard and must not be passed over.
pub fn if_match(request: &HttpRequest) -> Result<Precondition, Problem> {
    match Tags::of(request, header::IF_MATCH) {
        Tags::Absent | Tags::Any => Ok(Precondition::None),
        Tags::These(tags) => {
            Ok(Precondition::Versions(tags.iter().filter(|tag| !tag.weak).filter_map(Tag::version).collect()))
        }
        Tags::Unreadable => Err(Problem::parameter(
            "If-Match must be `*` or entity tags as they came in ETag, quotes included, with commas between",
        )),
    }
}

/// Whether `If-None-Match` says that the caller has this version. A header that is none is passed over: the worst that
/// follows is a reply in full.
pub fn none_match(request: &HttpRequest, version: i64) -> bool {
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
            let weak = rest.starts_with("W/");
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
            // A comma may stand within the quotes, a quote may not.
            let (opaque, after) = quoted.split_once('"')?;
            if !opaque.bytes().all(|b| b == 0x21 || (0x23..=0x7e).contains(&b)) {
                return None;
            }
            tags.push(Tag { weak, opaque: opaque.to_owned() });
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: String,
}

impl Tag {
    /// The version it names, if it is a tag of ours.
    fn version(&self) -> Option<i64> {
        let digits = self.opaque.strip_prefix('v')?;
        let version = digits.parse().ok()?;
        // `v01` and `v+1` are no tags we gave.
        (of(version) == format!("\"{}\"", self.opaque)).then_some(version)
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
    fn if_match_is_strong() {
        let versions = |versions: &[i64]| Precondition::Versions(versions.to_vec());
        for (lines, expected) in [
            (&[][..], Precondition::None),
            (&["*"][..], Precondition::None),
            (&[r#""v3""#][..], versions(&[3])),
            (&[r#""v3", W/"v4" ,"v5","x,y""#][..], versions(&[3, 5])),
            (&[r#""v3""#, r#""v4""#][..], versions(&[3, 4])),
            (&[r#"W/"v3""#][..], versions(&[])),
            (&[r#""v03","v+3","v","3","""#][..], versions(&[])),
        ] {
            assert_eq!(if_match(&request(lines)).unwrap(), expected, "{lines:?}");
        }
        for bad in
            ["", "v3", "\"v3", "v3\"", "\"v3\" \"v4\"", "\"v3\"x", "w/\"v3\"", "*, \"v3\"", ",", "\"v 3\""]
        {
            assert!(if_match(&request(&[bad])).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn if_none_match_is_weak() {
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
