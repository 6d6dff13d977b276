//! The check of `smtp.*`: the mail server and the sender.

use std::net::IpAddr;

use reqwest::Url;

use super::super::raw;
use super::super::{Mailbox, SecretText, SmtpSecurity, SmtpSettings};
use super::Check;

const TEXT_MAX: usize = 1024;
const LIKE: &str =
    "Write it like smtps://USER:PASSWORD@HOST:465 or smtp://USER:PASSWORD@HOST:587?tls=required";
const ESCAPED: &str =
    "Write characters such as / @ # ? : in user name and password percent-encoded, as in p%40ss";

/// What `smtp.url` says. The URL may contain a password, so no reason quotes it.
struct Server {
    host: String,
    port: u16,
    security: SmtpSecurity,
    credentials: Option<(String, SecretText)>,
}

impl Check {
    pub(super) fn smtp(&mut self, raw: &raw::Smtp) -> Option<SmtpSettings> {
        let from = self.mailbox("smtp.from", &raw.from);
        let reply_to = self.mailbox("smtp.reply_to", &raw.reply_to);
        let ca = self.ca(&raw.ca_file);
        if raw.url.is_empty() {
            return None;
        }
        let server = parse(&raw.url).map_err(|(reason, remedy)| self.refuse("smtp.url", reason, remedy)).ok();
        if raw.from.is_empty() {
            self.refuse(
                "smtp.from",
                "it is empty, and smtp.url is set, so mails would have no sender",
                "Set it to an address that the mail server may send from, like tokens@example.com",
            );
        }
        let Server { host, port, security, credentials } = server?;
        Some(SmtpSettings { host, port, security, credentials, ca, from: from?, reply_to })
    }

    fn mailbox(&mut self, key: &str, text: &str) -> Option<Mailbox> {
        if text.is_empty() {
            return None;
        }
        let parsed = Mailbox::parse(text);
        let remedy = "Write it like tokens@example.com or Tokens of Example <tokens@example.com>";
        parsed.map_err(|why| self.refuse(key, format!("it {why}"), remedy)).ok()
    }

    fn ca(&mut self, path: &str) -> Option<String> {
        if path.is_empty() {
            return None;
        }
        let fault = match std::fs::read_to_string(path) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(text),
            Ok(_) => format!("{path} has no certificate in PEM form"),
            Err(why) => format!("{path} cannot be read: {why}"),
        };
        self.refuse("smtp.ca_file", fault, "Correct the file or its path");
        None
    }
}

fn parse(text: &str) -> Result<Server, (&'static str, &'static str)> {
    let is_smtp = text.starts_with("smtps://") || text.starts_with("smtp://");
    if !is_smtp {
        return Err(("it is not the URL of a mail server", LIKE));
    }
    let Ok(url) = Url::parse(text) else { return Err(("it is not a valid URL", ESCAPED)) };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() || text.contains(char::is_whitespace) {
        return Err(("it has a path, or characters that must be percent-encoded", ESCAPED));
    }
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_owned();
    if host.is_empty() {
        return Err(("it has no host", LIKE));
    }
    let security = match (url.scheme(), url.query().unwrap_or_default()) {
        ("smtps", "") => SmtpSecurity::Tls,
        ("smtp", "tls=required") => SmtpSecurity::StartTls,
        ("smtp", "tls=none") => SmtpSecurity::Plain,
        ("smtps", _) => return Err(("smtps:// takes no options", "Remove everything after the port")),
        _ => {
            return Err((
                "it does not say whether the connection is encrypted",
                "Append ?tls=required for STARTTLS, or write smtps:// where the server speaks TLS from the start",
            ));
        }
    };
    let credentials =
        match (percent_decoded(url.username()), percent_decoded(url.password().unwrap_or_default())) {
            (Some(user), Some(password)) if user.is_empty() && password.is_empty() => None,
            (Some(user), Some(password)) if is_usable(&user) && is_usable(&password) => {
                Some((user, SecretText::new(password)))
            }
            _ => {
                return Err((
                    "its user name or password is empty, too long, or not printable percent-encoded UTF-8",
                    ESCAPED,
                ));
            }
        };
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if credentials.is_some() && security == SmtpSecurity::Plain && !is_here {
        return Err((
            "a password would be sent in plain text",
            "Write ?tls=required, or leave out user name and password",
        ));
    }
    let port = url.port().unwrap_or(match security {
        SmtpSecurity::Tls => 465,
        SmtpSecurity::StartTls => 587,
        SmtpSecurity::Plain => 25,
    });
    Ok(Server { host, port, security, credentials })
}

fn is_usable(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_MAX && !text.contains(char::is_control)
}

/// A text with percent-encoding (`%40`) decoded; `None` if the result is not UTF-8 or a `%` has no two hex digits after it.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let (digits, more) = more.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = more;
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
}
