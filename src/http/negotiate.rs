//! Content negotiation with `Accept` and `Accept-Encoding` (RFC 9110 §12.4, §12.5). Weights are in thousandths.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

/// The weight of `media_type`; 0 if it is not acceptable. Without the header everything is acceptable. Parameters of media
/// types and malformed members are ignored.
pub(crate) fn wants_media_type(request: &HttpRequest, media_type: &str) -> u16 {
    wanted(&listed(request, &header::ACCEPT), media_type)
}

/// Whether the client names `media_type` itself, and not only by a range such as `*/*`, with at least the weight of `other`.
pub(crate) fn names_media_type(request: &HttpRequest, media_type: &str, other: &str) -> bool {
    let listed = listed(request, &header::ACCEPT);
    weight(&listed, media_type).is_some_and(|named| named > 0 && named >= wanted(&listed, other))
}

fn wanted(listed: &[(String, u16)], media_type: &str) -> u16 {
    let group = format!("{}/*", media_type.split('/').next().unwrap_or_default());
    // The most specific range decides.
    [media_type, &group, "*/*"]
        .iter()
        .find_map(|range| weight(listed, range))
        .unwrap_or(if listed.is_empty() { 1000 } else { 0 })
}

/// Whether the client accepts gzip, with at least the weight of `identity` if it names that.
pub(crate) fn takes_gzip(request: &HttpRequest) -> bool {
    let listed = listed(request, &header::ACCEPT_ENCODING);
    let gzip = ["gzip", "x-gzip", "*"].iter().find_map(|coding| weight(&listed, coding)).unwrap_or(0);
    gzip > 0 && gzip >= weight(&listed, "identity").unwrap_or(0)
}

/// The members of a list header in lower case, each with its weight.
fn listed(request: &HttpRequest, name: &HeaderName) -> Vec<(String, u16)> {
    let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let thing = parts.next().filter(|thing| !thing.is_empty())?.to_ascii_lowercase();
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            Some((thing, q.map_or(1000, thousandths)))
        })
        .collect()
}

fn weight(listed: &[(String, u16)], thing: &str) -> Option<u16> {
    listed.iter().find(|(name, _)| name == thing).map(|(_, weight)| *weight)
}

/// `qvalue` of RFC 9110 §12.4.2; a malformed one counts as 1.
fn thousandths(q: &str) -> u16 {
    let digits = |text: &str| text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    match q.split_once('.').unwrap_or((q, "")) {
        ("0", more) if digits(more) => format!("{more:0<3}").parse().unwrap_or(1000),
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `i9` checks that row of docs/conformance.md.
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_most_specific_range_decides_and_without_a_range_everything_is_acceptable() {
        for (accept, wanted) in [
            ("", 1000),
            ("*/*", 1000),
            ("application/statuslist+jwt", 1000),
            ("APPLICATION/StatusList+JWT; v=1", 1000),
            ("application/statuslist+cwt", 0),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", 800),
            ("application/*;q=0.5, */*;q=0.1", 500),
            ("*/*, application/statuslist+jwt;q=0", 0),
            ("application/statuslist+jwt;q=0.001", 1),
            ("application/statuslist+jwt ; Q=0.000", 0),
            ("application/statuslist+jwt;q=much", 1000),
            ("text/*", 0),
            (",", 1000),
        ] {
            let request = TestRequest::get().insert_header(("accept", accept)).to_http_request();
            assert_eq!(wants_media_type(&request, "application/statuslist+jwt"), wanted, "{accept}");
        }
        let none = TestRequest::get().to_http_request();
        assert_eq!(wants_media_type(&none, "application/statuslist+jwt"), 1000);
    }

    #[test]
    fn i9_the_signed_form_is_sent_if_it_is_named_and_json_has_no_higher_weight() {
        for (accept, named) in [
            ("", false),
            ("*/*", false),
            ("application/*", false),
            ("application/json", false),
            ("application/jwt", false),
            ("application/token-introspection+jwt", true),
            ("Application/Token-Introspection+JWT", true),
            ("application/token-introspection+jwt;q=0.1", true),
            ("application/token-introspection+jwt; q=0", false),
            ("application/token-introspection+jwt, application/json", true),
            ("application/json, application/token-introspection+jwt", true),
            ("application/json, application/token-introspection+jwt;q=0.9", false),
            ("application/json;q=0.5, application/token-introspection+jwt;q=0.501", true),
            ("application/token-introspection+jwt;q=0.5, */*;q=0.1", true),
            ("application/token-introspection+jwt;q=0.5, */*", false),
            ("application/token-introspection+jwt;q=0.5, application/json;q=0.1, */*", true),
        ] {
            let request = TestRequest::get().insert_header(("accept", accept)).to_http_request();
            let names = names_media_type(&request, "application/token-introspection+jwt", "application/json");
            assert_eq!(names, named, "{accept}");
        }
    }

    #[test]
    fn gzip_is_taken_if_it_is_acceptable_and_identity_is_not_preferred() {
        for (accept, takes) in [
            ("gzip", true),
            ("GZIP", true),
            ("br, gzip;q=0.8", true),
            ("x-gzip", true),
            ("*", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.0, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("gzip;q=0.5, identity", false),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("gzip, *;q=0", true),
        ] {
            let request = TestRequest::get().insert_header(("accept-encoding", accept)).to_http_request();
            assert_eq!(takes_gzip(&request), takes, "{accept}");
        }
        assert!(!takes_gzip(&TestRequest::get().to_http_request()));
    }
}
