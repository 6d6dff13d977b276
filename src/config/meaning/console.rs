//! The check of `console.*` and `outbound.*`: the second factor, OpenID Connect providers, and what Mintmark may send requests
//! to.

use reqwest::Url;

use super::super::raw;
use super::super::{AllowList, ConsoleSettings, OidcProvider, OutboundSettings, PublicUrl, SecretText};
use super::Check;

const NAME_MAX: usize = 32;
const TEXT_MAX: usize = 255;
const SECRET_MAX: usize = 4096;

impl Check {
    pub(super) fn console(&mut self, raw: &raw::Console, issuer: Option<&PublicUrl>) -> ConsoleSettings {
        let mut oidc: Vec<OidcProvider> = Vec::with_capacity(raw.oidc.len());
        for (entry, written) in (1..).zip(&raw.oidc) {
            let provider = self.provider(entry, written, issuer);
            if oidc.iter().any(|other| other.name == provider.name && !provider.name.is_empty()) {
                self.refuse_member(
                    entry,
                    "name",
                    &format!("{:?} is already the name of an earlier entry", provider.name),
                    "Give each provider a different name",
                );
            }
            oidc.push(provider);
        }
        ConsoleSettings {
            second_factor_required: self.second_factor_required(&raw.second_factor, issuer),
            oidc,
        }
    }

    fn second_factor_required(&mut self, text: &str, issuer: Option<&PublicUrl>) -> bool {
        let key = "console.second_factor";
        match text {
            "required" => true,
            "optional" if issuer.is_none_or(PublicUrl::is_loopback) => false,
            "optional" => {
                self.refuse(
                    key,
                    "a password alone would give access to a service that others can reach",
                    "Remove it, so that a password needs a second factor",
                );
                true
            }
            _ => {
                self.refuse(key, format!("{text:?} is not a valid value"), "Set it to required or optional");
                true
            }
        }
    }

    fn provider(&mut self, entry: usize, raw: &raw::Oidc, issuer: Option<&PublicUrl>) -> OidcProvider {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if raw.name.is_empty() || raw.name.len() > NAME_MAX || !raw.name.bytes().all(plain) {
            self.refuse_member(
                entry,
                "name",
                &format!("{:?} is not a valid name", raw.name),
                "Choose 1 to 32 characters of a-z, 0-9 and -, such as corp",
            );
        }
        if let Some((reason, remedy)) = issuer_refusal(&raw.issuer, issuer) {
            self.refuse_member(entry, "issuer", reason, remedy);
        }
        if !is_visible(&raw.client_id, TEXT_MAX) {
            self.refuse_member(
                entry,
                "client_id",
                "it is empty, or longer than 255 characters, or has characters that no client id has",
                "Copy it from the provider, where this service is registered",
            );
        }
        if raw.role_claim.len() > TEXT_MAX || raw.role_claim.chars().any(char::is_control) {
            self.refuse_member(
                entry,
                "role_claim",
                "it is longer than 255 bytes or has control characters",
                "Set it to the name of a claim, such as mintmark_roles, or remove it",
            );
        }
        OidcProvider {
            name: raw.name.clone(),
            issuer: raw.issuer.clone(),
            client_id: raw.client_id.clone(),
            client_secret: self.client_secret(entry, raw),
            role_claim: Some(raw.role_claim.clone()).filter(|claim| !claim.is_empty()),
        }
    }

    /// The client secret, from the entry or from the file that the entry names. No problem quotes the secret.
    fn client_secret(&mut self, entry: usize, raw: &raw::Oidc) -> SecretText {
        let (secret, member) = match (raw.client_secret.as_str(), raw.client_secret_file.as_str()) {
            (_, "") => (SecretText::new(raw.client_secret.clone()), "client_secret"),
            ("", path) => match std::fs::read_to_string(path) {
                Ok(text) => (SecretText::new(text.trim_ascii_end()), "client_secret_file"),
                Err(why) => {
                    let reason = format!("{path} cannot be read: {why}");
                    self.refuse_member(entry, "client_secret_file", &reason, "Correct the file or its path");
                    return SecretText::new("");
                }
            },
            _ => {
                self.refuse_member(
                    entry,
                    "client_secret",
                    "client_secret_file is set too, but there is only one secret",
                    "Remove one of the two",
                );
                return SecretText::new("");
            }
        };
        if !is_visible(secret.expose(), SECRET_MAX) {
            self.refuse_member(
                entry,
                member,
                "the secret is empty, or longer than 4096 characters, or has characters that no secret has",
                "Set client_secret to the secret, or client_secret_file to the path of a file with only the secret",
            );
        }
        secret
    }

    /// Refuses a member of an entry of `console.oidc`; entries are counted from 1.
    fn refuse_member(&mut self, entry: usize, member: &str, reason: &str, remedy: &str) {
        let set_by = self.merged.entry("console.oidc").and_then(|list| list.set_by.clone());
        self.merged.problems.push(super::Problem {
            key: format!("console.oidc.{member}"),
            set_by,
            reason: format!("entry {entry}: {reason}"),
            remedy: remedy.to_owned(),
        });
    }

    pub(super) fn outbound(&mut self, raw: &raw::Outbound) -> OutboundSettings {
        let mut allow = AllowList::default();
        for entry in &raw.allow {
            if let Err(why) = allow.add(entry) {
                self.refuse(
                    "outbound.allow",
                    format!("{entry:?} {why}"),
                    "Write networks like 10.0.0.0/8 and host names like hooks.internal",
                );
            }
        }
        OutboundSettings { allow }
    }
}

/// Why a text is not the issuer of a provider (OpenID Connect Discovery 1.0 §2): reason and remedy. Unlike Mintmark's own
/// issuer, it may end with a slash.
fn issuer_refusal(text: &str, own: Option<&PublicUrl>) -> Option<(&'static str, &'static str)> {
    const LIKE: &str = "Write it like https://login.example.com, exactly as the provider's metadata has it";
    let Ok(url) = Url::parse(text) else { return Some(("it is not a URL", LIKE)) };
    match url.scheme() {
        "https" => {}
        // If only this machine can reach the service, the provider may be on this machine too.
        "http" if own.is_some_and(PublicUrl::is_loopback) => {}
        // server.listen or server.public_url is refused, so whether the service is on loopback is not known.
        "http" if own.is_none() => {}
        _ => {
            return Some(("an issuer is an https URL (http only where server.public_url is loopback)", LIKE));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some(("an issuer has no user name and no password", "Remove the part before the @"));
    }
    if text.contains(['?', '#']) {
        return Some(("an issuer has no query and no fragment", "Remove the ? or # and everything after it"));
    }
    if text.contains(['{', '}']) {
        return Some((
            "it is a template, so tokens of every tenant would have to be accepted",
            "Write the issuer of your own tenant",
        ));
    }
    if text.len() > TEXT_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(("it is longer than 255 characters or has characters that a URL cannot have", LIKE));
    }
    None
}

/// Whether a text has 1 to `max` characters, all of which a client id or secret can have (RFC 6749 appendix A: VSCHAR).
fn is_visible(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}
