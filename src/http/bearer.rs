//! Bearer tokens in requests (RFC 6750 §2.1): a request has at most one, in its only `Authorization` header.

use actix_web::http::header::{self, HeaderMap};

/// The challenge of a request without a token (RFC 6750 §3).
pub(crate) const CHALLENGE: &str = r#"Bearer realm="mintmark""#;

/// The content of the `Authorization` header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bearer<'a> {
    /// No header, or another scheme, which counts as no token (RFC 6750 §3).
    Missing,
    /// Something that looks like a JWT, but without the scheme.
    WithoutScheme,
    /// A token; it may be empty.
    Token(&'a str),
    /// The header has bytes that no token can have.
    Malformed,
    /// More than one header.
    Repeated,
}

impl<'a> Bearer<'a> {
    /// Reads the headers of a request.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut lines = headers.get_all(header::AUTHORIZATION);
        match (lines.next(), lines.next()) {
            (None, _) => Self::Missing,
            (Some(_), Some(_)) => Self::Repeated,
            (Some(line), None) => match line.to_str() {
                Err(_) => Self::Malformed,
                Ok(line) => match token(line) {
                    Some(token) => Self::Token(token),
                    None if is_jwt(line.trim_matches(' ')) => Self::WithoutScheme,
                    None => Self::Missing,
                },
            },
        }
    }
}

/// The token after the scheme `Bearer`, whose case is ignored (RFC 9110 §11.1); `None` for another scheme.
pub(crate) fn token(line: &str) -> Option<&str> {
    let (scheme, token) = line.split_once(' ').unwrap_or((line, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// Whether a text looks like a JWT: three parts in base64url (RFC 7519 §3), of which the first begins with `ey`, as an encoded
/// JSON object does.
fn is_jwt(text: &str) -> bool {
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.starts_with("ey")
        && text.split('.').count() == 3
        && text.split('.').all(|part| part.bytes().all(is_base64url))
}

/// The hint for a token that may have been cut off. It says the length, to compare with the length shown at creation.
pub(crate) fn cut(token: &str) -> String {
    format!("it may have been cut when pasted; it has {} characters", token.chars().count())
}

/// Whether a query carries a token (RFC 6750 §2.3), which would end up in logs and browser histories.
pub(crate) fn is_in_query(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("access_token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, header::HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_read_only_from_a_single_header_with_the_bearer_scheme() {
        for (lines, read) in [
            (&[][..], Bearer::Missing),
            (&[&b"Bearer a.b.c"[..]][..], Bearer::Token("a.b.c")),
            (&[b"bEARER   a.b.c "], Bearer::Token("a.b.c")),
            (&[b"Bearer"], Bearer::Token("")),
            (&[b"Basic YTpi"], Bearer::Missing),
            (&[b"eyJh.b.c-_"], Bearer::WithoutScheme),
            (&[b"eyJh.b."], Bearer::WithoutScheme),
            (&[b"eyJh.b"], Bearer::Missing),
            (&[b"a.b.c"], Bearer::Missing),
            (&[b"eyJh.b.c="], Bearer::Missing),
            (&[b"DPoP eyJh.b.c"], Bearer::Missing),
            (&[b"Bearer a\xff"], Bearer::Malformed),
            (&[b"Bearer a", b"Bearer a"], Bearer::Repeated),
            (&[b"Bearer a", b"Basic YTpi"], Bearer::Repeated),
        ] {
            assert_eq!(Bearer::of(&headers(lines)), read, "{lines:?}");
        }
    }

    #[test]
    fn only_the_parameter_access_token_is_a_token_in_the_query() {
        for (query, is_in) in
            [("access_token=x", true), ("a=b&access_token", true), ("", false), ("x=access_token", false)]
        {
            assert_eq!(is_in_query(query), is_in, "{query}");
        }
    }
}
