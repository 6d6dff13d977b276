//! Secret settings: wiped from memory when dropped, never printed by `Debug`.

use std::fmt;

use zeroize::Zeroizing;

use crate::model::postgres_url::PARAMETERS;

/// A secret setting, or one that may contain a secret (a database URL with a password).
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The only query parameter that `smtp.url` may have.
const SMTP_PARAMETER: &str = "tls";

/// Printed in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// `url` without its password, which can be in the authority or in a query parameter (libpq takes both). A parameter that is
/// not known may be a part of a password with an unescaped `&`, so nothing of it is shown.
pub(super) fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return REDACTED.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((userinfo, host)) => match userinfo.split_once(':') {
            Some((user, _)) => format!("{user}:{REDACTED}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let query = query.map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name @ ("password" | "sslpassword"), _)) => format!("{name}={REDACTED}"),
            Some((name, _)) if name == SMTP_PARAMETER || PARAMETERS.contains(&name) => pair.to_owned(),
            _ => REDACTED.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{authority}{path}{}", query.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_secret() {
        assert_eq!(format!("{:?}", SecretText::new("canary")), REDACTED);
    }

    #[test]
    fn passwords_and_unknown_parameters_in_urls_are_redacted() {
        for (url, shown) in [
            ("sqlite://data/mintmark.db", "sqlite://data/mintmark.db"),
            ("postgres://host/db", "postgres://host/db"),
            ("postgres://me@host/db?sslmode=require", "postgres://me@host/db?sslmode=require"),
            ("postgres://me:pw@host:5432/db", "postgres://me:[redacted]@host:5432/db"),
            ("postgres://me:p@w:x@host", "postgres://me:[redacted]@host"),
            ("postgres://host/db?user=me&password=pw", "postgres://host/db?user=me&password=[redacted]"),
            (
                "postgres://host/db?password=p&w&x=y",
                "postgres://host/db?password=[redacted]&[redacted]&[redacted]",
            ),
            ("postgres://host/db?p%61ssword=pw", "postgres://host/db?[redacted]"),
            ("smtp://me:pw@host:587?tls=required", "smtp://me:[redacted]@host:587?tls=required"),
            ("no url at all: pw", "[redacted]"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }
}
