//! The check of the merged settings: ranges, formats, and settings that exclude each other.

mod console;
mod server;
mod smtp;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value as Json;

use super::layers::{Layers, Merged, Source};
use super::log_level::LogLevel;
use super::problem::{Problem, SettingsError};
use super::public_url::PublicUrl;
use super::raw;
use super::secret::{REDACTED, SecretText, redact_url};
use super::{
    AuditSettings, DatabaseSettings, DeliverySettings, Effective, KeySettings, LogFormat, LogSettings,
    MasterKey, NeverExpiresExp, ServerSettings, Settings, StatusListSettings, TokenSettings, VerifySettings,
};
use crate::model::expiry::LIFETIME_RANGE;
use crate::model::key::Alg;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// Merges the layers and checks the values in force.
pub(super) fn of(layers: Layers) -> Result<Settings, SettingsError> {
    let (raw, merged) = layers.merge();
    let raw = match raw {
        Ok(raw) => raw,
        Err(why) => return Err(refused(merged.problems, Some(embedded_is_broken(&why)))),
    };
    let mut check = Check { merged };
    let server = check.server(&raw.server);
    let database = check.database(&raw.database);
    let keys = check.keys(&raw.keys);
    let verify = check.verify(&raw.verify);
    let console = check.console(&raw.console, server.as_ref().map(|server| &server.public_url));
    let outbound = check.outbound(&raw.outbound);
    let smtp = check.smtp(&raw.smtp);
    let delivery = check.delivery(&raw.delivery);
    let log = check.log(&raw.log);
    let tokens = check.tokens(&raw.tokens, server.as_ref().map(|server| &server.public_url));
    let status_lists = check.status_lists(&raw.status_lists);
    let audit = check.audit(&raw.audit);
    match (server, tokens, delivery, log) {
        (Some(server), Some(tokens), Some(delivery), Some(log)) if check.merged.problems.is_empty() => {
            let effective = check.effective(&server, &tokens);
            Ok(Settings {
                server,
                database,
                keys,
                tokens,
                status_lists,
                audit,
                verify,
                console,
                outbound,
                smtp,
                delivery,
                log,
                effective,
            })
        }
        _ => Err(refused(check.merged.problems, None)),
    }
}

fn refused(mut problems: Vec<Problem>, more: Option<Problem>) -> SettingsError {
    problems.extend(more);
    problems.sort_by(|a, b| a.key.cmp(&b.key));
    SettingsError { problems }
}

fn embedded_is_broken(why: &config::ConfigError) -> Problem {
    Problem {
        key: "config/default.toml".to_owned(),
        set_by: None,
        reason: format!("it does not contain the settings of this program: {why}"),
        remedy: "Build Mintmark from unchanged sources".to_owned(),
    }
}

/// Collects problems while it checks. A refused value does not end the check, so that all problems are found.
struct Check {
    merged: Merged,
}

impl Check {
    fn refuse(&mut self, key: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        let set_by = self.merged.entry(key).and_then(|entry| entry.set_by.clone());
        let (reason, remedy) = (reason.into(), remedy.into());
        self.merged.problems.push(Problem { key: key.to_owned(), set_by, reason, remedy });
    }

    /// Whether each of these keys is valid on its own, so that they can be compared.
    fn all_valid(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.merged.is_broken(key))
    }

    fn is_set(&self, key: &str) -> bool {
        self.merged.entry(key).is_some_and(|entry| entry.source != Source::Default)
    }

    fn within(&mut self, key: &str, value: i64, range: RangeInclusive<i64>) -> i64 {
        if !range.contains(&value) {
            let (from, to) = range.into_inner();
            self.refuse(
                key,
                format!("{value} is out of range"),
                format!("Choose a number from {from} to {to}"),
            );
            return from;
        }
        value
    }

    fn count(&mut self, key: &str, value: i64, range: RangeInclusive<i64>) -> usize {
        usize::try_from(self.within(key, value, range)).unwrap_or_default()
    }

    fn seconds(&mut self, key: &str, value: i64, range: RangeInclusive<i64>) -> Duration {
        Duration::from_secs(self.within(key, value, range).unsigned_abs())
    }

    fn database(&mut self, raw: &raw::Database) -> DatabaseSettings {
        // The URL may contain a password, so no reason quotes it.
        let refusal = if let Some(path) = raw.url.strip_prefix("sqlite://") {
            match path {
                "" => Some(("it has no path", "Write it like sqlite://data/mintmark.db")),
                ":memory:" => Some((
                    "a database in memory would lose every API client and key at the next start",
                    "Use a file, like sqlite://data/mintmark.db",
                )),
                _ if path.contains(['?', '#']) => Some((
                    "a SQLite URL takes no options here, because Mintmark sets the ones that keep data safe",
                    "Remove everything after the path",
                )),
                _ => None,
            }
        } else if raw.url.starts_with("postgres://") || raw.url.starts_with("postgresql://") {
            postgres_refusal(&raw.url)
        } else {
            Some((
                "it is not the URL of a SQLite or PostgreSQL database",
                "Write it like sqlite://data/mintmark.db or postgres://USER:PASSWORD@HOST/NAME",
            ))
        };
        if let Some((reason, remedy)) = refusal {
            self.refuse("database.url", reason, remedy);
        }
        let connections = self.count("database.max_connections", raw.max_connections, 1..=1000);
        DatabaseSettings {
            url: SecretText::new(raw.url.clone()),
            max_connections: u32::try_from(connections).unwrap_or(u32::MAX),
        }
    }

    fn keys(&mut self, raw: &raw::Keys) -> KeySettings {
        let file_set = self.is_set("keys.master_key_file");
        let master_key = if raw.master_key.is_empty() {
            if raw.master_key_file.is_empty() {
                self.refuse(
                    "keys.master_key_file",
                    "it is empty, and so is keys.master_key, so there is no master key",
                    "Set it to the path of a file",
                );
            }
            MasterKey::File { path: PathBuf::from(&raw.master_key_file), explicit: file_set }
        } else {
            if file_set && !raw.master_key_file.is_empty() {
                self.refuse(
                    "keys.master_key",
                    "keys.master_key_file is set too, but there is only one master key",
                    "Remove one of the two",
                );
            }
            MasterKey::Inline(SecretText::new(raw.master_key.clone()))
        };
        let (max_age, pending, rotate) =
            ("keys.jwks_max_age_seconds", "keys.pending_seconds", "keys.rotate_every_days");
        let jwks_max_age_seconds = self.within(max_age, raw.jwks_max_age_seconds, 1..=DAY);
        let pending_seconds = self.within(pending, raw.pending_seconds, 1..=30 * DAY);
        let rotate_every_days = self.within(rotate, raw.rotate_every_days, 0..=3650);
        if self.all_valid(&[max_age, pending]) && pending_seconds < jwks_max_age_seconds {
            self.refuse(
                pending,
                format!("{pending_seconds} is less than keys.jwks_max_age_seconds ({jwks_max_age_seconds}), so keys would sign before verifiers know them"),
                "Raise it, or lower keys.jwks_max_age_seconds",
            );
        }
        if self.all_valid(&[pending, rotate])
            && rotate_every_days > 0
            && rotate_every_days * DAY <= pending_seconds
        {
            self.refuse(
                rotate,
                format!("keys would be replaced before they sign, because they are pending for {pending_seconds} seconds (keys.pending_seconds)"),
                "Rotate less often, or shorten keys.pending_seconds",
            );
        }
        KeySettings {
            master_key,
            jwks_max_age_seconds,
            pending_seconds,
            rotate_every_days: (rotate_every_days > 0).then_some(rotate_every_days),
        }
    }

    fn tokens(&mut self, raw: &raw::Tokens, issuer: Option<&PublicUrl>) -> Option<TokenSettings> {
        let signing_alg = raw.signing_alg.parse::<Alg>().ok();
        if signing_alg.is_none() {
            let names = Alg::ALL.map(Alg::as_str).join(", ");
            self.refuse(
                "tokens.signing_alg",
                format!("{:?} is not a supported algorithm", raw.signing_alg),
                format!("Choose one of {names}"),
            );
        }
        let default_audience = match (raw.default_audience.as_str(), issuer) {
            ("", Some(issuer)) => Some(format!("{issuer}/products")),
            ("", None) => None,
            (text, _) => Some(text.to_owned()),
        };
        if let Some(audience) = &default_audience {
            self.audience(audience, issuer);
        }
        let default_lifetime_seconds =
            self.within("tokens.default_lifetime_seconds", raw.default_lifetime_seconds, LIFETIME_RANGE);
        let record_above_seconds =
            self.within("tokens.record_above_seconds", raw.record_above_seconds, 60..=DAY);
        let serve_stale_seconds = self.within("tokens.serve_stale_seconds", raw.serve_stale_seconds, 0..=DAY);
        let never_expires_exp = self.one_of(
            "tokens.never_expires.exp",
            &raw.never_expires.exp,
            &[("far", NeverExpiresExp::Far), ("omit", NeverExpiresExp::Omit)],
        );
        let never_expires_in =
            self.within("tokens.never_expires.expires_in", raw.never_expires.expires_in, 0..=YEAR);
        Some(TokenSettings {
            signing_alg: signing_alg?,
            default_audience: default_audience?,
            default_lifetime_seconds,
            record_above_seconds,
            serve_stale_seconds,
            never_expires_exp: never_expires_exp?,
            never_expires_in: (never_expires_in > 0).then_some(never_expires_in),
        })
    }

    fn audience(&mut self, audience: &str, issuer: Option<&PublicUrl>) {
        let key = "tokens.default_audience";
        if issuer.is_some_and(|issuer| issuer.as_str() == audience) {
            self.refuse(
                key,
                "it is the issuer, so a product's token would be valid for Mintmark itself",
                "Choose another URI, or remove it for the default, <public_url>/products",
            );
        } else if Url::parse(audience).is_err()
            || audience.contains('#')
            || !audience.bytes().all(|b| b.is_ascii_graphic())
        {
            self.refuse(
                key,
                "it is not an absolute URI without a fragment, so clients could not request it as a resource (RFC 8707)",
                "Write it like https://api.example.com",
            );
        }
    }

    fn status_lists(&mut self, raw: &raw::StatusLists) -> StatusListSettings {
        let ttl_seconds = self.within("status_lists.ttl_seconds", raw.ttl_seconds, 1..=3600);
        StatusListSettings { ttl_seconds }
    }

    fn audit(&mut self, raw: &raw::Audit) -> AuditSettings {
        let keep_days = self.within("audit.keep_days", raw.keep_days, 0..=3650);
        AuditSettings { keep_days: Some(keep_days).filter(|days| *days > 0) }
    }

    fn verify(&mut self, raw: &raw::Verify) -> VerifySettings {
        let key = "verify.token_headers";
        let mut token_headers: Vec<String> = Vec::with_capacity(raw.token_headers.len());
        for text in &raw.token_headers {
            let name = text.to_ascii_lowercase();
            // RFC 9110 §5.6.2
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) {
                self.refuse(
                    key,
                    format!("{text:?} is not a valid header name"),
                    "Write names like X-Access-Token",
                );
            } else if name == "authorization" {
                self.refuse(key, "Authorization is always read first", "Remove it");
            } else if token_headers.contains(&name) {
                self.refuse(key, format!("{text} is listed twice"), "List it once");
            } else {
                token_headers.push(name);
            }
        }
        VerifySettings { token_headers }
    }

    fn delivery(&mut self, raw: &raw::Delivery) -> Option<DeliverySettings> {
        let worker = self.one_of("delivery.worker", &raw.worker, &[("on", true), ("off", false)]);
        Some(DeliverySettings { worker: worker? })
    }

    fn log(&mut self, raw: &raw::Log) -> Option<LogSettings> {
        let format =
            self.one_of("log.format", &raw.format, &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        let level = raw.level.parse::<LogLevel>().map_err(|why| {
            self.refuse("log.level", why, "Write it like info, or info,mintmark::http=warn");
        });
        Some(LogSettings { format: format?, level: level.ok()? })
    }

    fn one_of<T: Copy>(&mut self, key: &str, text: &str, choices: &[(&str, T)]) -> Option<T> {
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(
                key,
                format!("{text:?} is not a valid value"),
                format!("Choose {}", names.join(" or ")),
            );
        }
        chosen
    }

    fn effective(&self, server: &ServerSettings, tokens: &TokenSettings) -> Vec<Effective> {
        let shown = |key: &str, value: &Json| match (key, value.as_str()) {
            ("server.public_url", _) => Json::from(server.public_url.as_str()),
            ("server.workers", _) => Json::from(server.workers),
            ("tokens.default_audience", _) => Json::from(tokens.default_audience.as_str()),
            ("database.url" | "smtp.url", Some(url)) if !url.is_empty() => Json::from(redact_url(url)),
            ("console.oidc", _) => redact_secrets(value),
            ("keys.master_key", Some(secret)) if !secret.is_empty() => Json::from(REDACTED),
            _ => value.clone(),
        };
        let entries = self.merged.entries.iter();
        entries
            .map(|(key, entry)| Effective {
                key: key.clone(),
                value: shown(key, &entry.value),
                source: entry.source,
            })
            .collect()
    }
}

/// A list of tables without the secrets in them.
fn redact_secrets(tables: &Json) -> Json {
    let mut tables = tables.clone();
    for table in tables.as_array_mut().into_iter().flatten() {
        if let Some(secret) = table.get_mut("client_secret").filter(|secret| *secret != "") {
            *secret = Json::from(REDACTED);
        }
    }
    tables
}

fn postgres_refusal(text: &str) -> Option<(&'static str, &'static str)> {
    let escaped =
        "Write characters such as / @ # ? : in user name and password percent-encoded, as in p%40ss";
    let Ok(url) = Url::parse(text) else {
        return Some(("it is not a valid URL", escaped));
    };
    // An unescaped / ? or # in a password ends the authority early, so the @ before the host is in the path, query or fragment.
    let is_cut = url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'));
    if is_cut || url.fragment().is_some() || text.contains(char::is_whitespace) {
        return Some(("it contains characters that must be percent-encoded", escaped));
    }
    None
}
