//! Which URLs the verifier may fetch, and where the metadata of an issuer is (RFC 8414 §3, `OpenID` Connect Discovery
//! §4). A URL with a fragment, user information or an unusual host is refused and not normalised, since two programs could read
//! it differently.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The scheme of a URL that may be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    /// Plain HTTP, for this machine only.
    LoopbackHttp,
}

/// The scheme of `url`, or why it may not be used.
pub(crate) fn scheme_of(url: &str) -> Result<Scheme, &'static str> {
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\"#<>@\\^`{|}".contains(&b);
    if !url.bytes().all(allowed) {
        return Err("has a fragment, user information or a character that is not allowed in a URL");
    }
    let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else if let Some(rest) = url.strip_prefix("http://") {
        (Scheme::LoopbackHttp, rest)
    } else {
        return Err("is not a URL that begins with https://");
    };
    let host = host_of(rest.split(['/', '?']).next().unwrap_or_default())?;
    if scheme == Scheme::LoopbackHttp && !is_loopback(host) {
        return Err("uses plain http for another machine: use https");
    }
    Ok(scheme)
}

/// Like [`scheme_of`], for an issuer identifier, which has no query (RFC 8414 §2).
pub(crate) fn check_issuer(issuer: &str) -> Result<Scheme, &'static str> {
    if issuer.contains('?') { Err("has a query: use the URL without it") } else { scheme_of(issuer) }
}

/// Where the metadata of `issuer` may be, in the order to try: before the path of the issuer (RFC 8414 §3.1), then
/// after it (`OpenID` Connect Discovery §4.1).
pub(crate) fn metadata_urls(issuer: &str) -> [String; 2] {
    let issuer = issuer.trim_end_matches('/');
    let authority_at = issuer.find("://").map_or(0, |at| at + 3);
    let (origin, path) = match issuer.get(authority_at..).and_then(|rest| rest.find('/')) {
        Some(at) => issuer.split_at(authority_at + at),
        None => (issuer, ""),
    };
    [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{issuer}/.well-known/openid-configuration"),
    ]
}

fn host_of(authority: &str) -> Result<&str, &'static str> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if is_host && is_port { Ok(host) } else { Err("has no valid host and port") }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_allowed_anywhere_and_http_only_to_this_machine() {
        for url in [
            "https://tokens.example.com",
            "https://h:8443/a/b?c=d",
            "https://[2001:db8::1]:443/",
            "https://a-b.example",
        ] {
            assert_eq!(scheme_of(url), Ok(Scheme::Https), "{url}");
        }
        for url in ["http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:8080/", "http://127.8.8.8"] {
            assert_eq!(scheme_of(url), Ok(Scheme::LoopbackHttp), "{url}");
        }
        for url in [
            "http://tokens.example.com",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example/",
            "http://evil.example\\@127.0.0.1/",
            "http://evil.example#@127.0.0.1/",
            "http://evil.example?@127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/",
            "HTTPS://h",
            "ftp://h",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://h:99999/",
            "https://h:/",
            "https://h:1:2/",
            "https://[::1",
            "https://a_b.example",
            "https://a$b/",
            "https://h/a b",
            "https://h/\u{e9}",
            "",
        ] {
            assert!(scheme_of(url).is_err(), "{url}");
        }
        assert!(check_issuer("https://h/?a").is_err());
    }

    #[test]
    fn metadata_is_looked_for_before_and_after_the_path() {
        for (issuer, oauth, openid) in [
            (
                "https://h",
                "https://h/.well-known/oauth-authorization-server",
                "https://h/.well-known/openid-configuration",
            ),
            (
                "http://127.0.0.1:80/tenant/",
                "http://127.0.0.1:80/.well-known/oauth-authorization-server/tenant",
                "http://127.0.0.1:80/tenant/.well-known/openid-configuration",
            ),
            (
                "https://h/a/b",
                "https://h/.well-known/oauth-authorization-server/a/b",
                "https://h/a/b/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(metadata_urls(issuer), [oauth, openid], "{issuer}");
        }
    }
}
