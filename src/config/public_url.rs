//! The issuer identifier (RFC 8414 §2): the `iss` of every token, which all verifiers compare byte for byte. So it is
//! accepted only in its normal form, and no later code has to normalise it. Other URLs of a server (`server.management_url`,
//! `--remote`) are read as this type too.

use std::fmt;

use reqwest::Url;

/// The first segments of the paths that are served at the root, whatever the issuer is.
const SERVED: [&str; 9] =
    [".well-known", "console", "docs", "healthz", "metrics", "oauth2", "openapi.yaml", "readyz", "v1"];

/// `server.public_url` or another URL of a server, checked: `https` (or `http` on a loopback host), no userinfo, query,
/// fragment or trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    path_at: usize,
    loopback: bool,
}

/// Why a text is not an issuer: reason and remedy.
pub(crate) type Refusal = (String, String);

impl PublicUrl {
    /// Reads an issuer.
    ///
    /// # Errors
    /// Why the text is not an issuer.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let refuse = |reason: &str, remedy: &str| Err((reason.to_owned(), remedy.to_owned()));
        let Ok(url) = Url::parse(text) else {
            return refuse("it is not a URL", "Write it like https://tokens.example.com");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("it is not an https URL", "Write it like https://tokens.example.com");
        }
        let loopback = url.host_str().is_some_and(is_loopback_host);
        if url.scheme() == "http" && !loopback {
            return refuse(
                "http sends secrets and tokens in the clear, and this host is not loopback",
                "Use https; Mintmark itself may listen on plain HTTP behind a proxy that terminates TLS",
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it contains a user name or a password", "Remove the part before the @");
        }
        if text.contains(['?', '#']) {
            return refuse("it has a query or a fragment", "Remove the ? or # and everything after it");
        }
        if text.ends_with('/') {
            return refuse("it ends with a slash", "Remove the slash at the end");
        }
        let path = url.path().trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if !path.split('/').skip(1).all(|segment| !segment.is_empty() && segment.bytes().all(plain)) {
            return refuse(
                "its path may contain only letters, digits and - . _ ~ between single slashes",
                "Choose another path, or none",
            );
        }
        if let Some(first) = path.split('/').nth(1).filter(|first| SERVED.contains(first)) {
            return Err((
                format!("its path begins with /{first}, which Mintmark uses itself"),
                "Choose another path, like /tenant, or none".to_owned(),
            ));
        }
        let normal = url.as_str().trim_end_matches('/');
        if normal != text {
            return Err((
                "it is not in its normal form, and verifiers compare the issuer byte for byte".to_owned(),
                format!("Write it as {normal}"),
            ));
        }
        Ok(Self { text: text.to_owned(), path_at: text.len() - path.len(), loopback })
    }

    /// The issuer.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its path: empty, or like `/tenant`. Every route is served below it too.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// Scheme, host and port: where `/.well-known/…` followed by the path is found (RFC 8414 §3.1).
    pub fn origin(&self) -> &str {
        self.text.get(..self.path_at).unwrap_or_default()
    }

    /// Its host, without the port; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        let authority = self.origin().split_once("://").map_or("", |(_, authority)| authority);
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        }
    }

    /// Whether it can be reached from this machine only.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether it is `https`.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_loopback_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_issuers_keep_every_byte() {
        for (text, origin, path, loopback) in [
            ("https://tokens.example.com", "https://tokens.example.com", "", false),
            ("https://tokens.example.com:8443", "https://tokens.example.com:8443", "", false),
            ("https://h.example/a/b-1", "https://h.example", "/a/b-1", false),
            ("https://h.example/v2", "https://h.example", "/v2", false),
            ("https://h.example/tenant/v1", "https://h.example", "/tenant/v1", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "", true),
            ("http://127.8.9.1", "http://127.8.9.1", "", true),
            ("http://localhost:1/tenant", "http://localhost:1", "/tenant", true),
            ("http://[::1]:8080", "http://[::1]:8080", "", true),
            ("https://[2001:db8::1]", "https://[2001:db8::1]", "", false),
        ] {
            let url = PublicUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why:?}"));
            assert_eq!((url.as_str(), url.origin(), url.path()), (text, origin, path));
            assert_eq!(url.is_loopback(), loopback, "{text}");
            let host = Url::parse(text).unwrap().host_str().unwrap().to_owned();
            assert_eq!(url.host(), host, "{text}");
            assert_eq!(url.is_https(), text.starts_with("https"));
        }
    }

    #[test]
    fn bad_issuers_are_refused_with_the_reason() {
        for (text, reason) in [
            ("", "not a URL"),
            ("tokens.example.com", "not a URL"),
            ("ftp://tokens.example.com", "not an https URL"),
            ("http://tokens.example.com", "not loopback"),
            ("http://localhost.example.com", "not loopback"),
            ("http://127.0.0.1.example.com", "not loopback"),
            ("http://0.0.0.0:8080", "not loopback"),
            ("http://10.0.0.1", "not loopback"),
            ("https://me@h.example", "user name"),
            ("https://h.example?x", "query"),
            ("https://h.example#x", "fragment"),
            ("https://h.example?", "query"),
            ("https://h.example/", "slash"),
            ("https://h.example/a/", "slash"),
            ("https://h.example/a//b", "path"),
            ("https://h.example/{a}", "path"),
            ("https://h.example/v1", "begins with /v1"),
            ("https://h.example/v1/tenant", "begins with /v1"),
            ("https://h.example/.well-known", "begins with /.well-known"),
            ("https://h.example/openapi.yaml", "begins with /openapi.yaml"),
            ("https://h.example/a%20b", "path"),
            ("https://H.example", "byte for byte"),
            ("HTTPS://h.example", "byte for byte"),
            ("https://h.example:443", "byte for byte"),
            ("https://h.example/a/../b", "byte for byte"),
            (" https://h.example", "byte for byte"),
            // 127.0.0.1 as one number.
            ("http://2130706433", "byte for byte"),
        ] {
            let (why, remedy) = PublicUrl::parse(text).expect_err(text);
            assert!(why.contains(reason), "{text}: {why}");
            assert!(!remedy.is_empty());
        }
    }
}
