//! The settings: what an operator can configure, read and checked once at the start.
//!
//! `--config FILE` overrides `config/default.toml` (embedded), and `MINTMARK__SECTION__KEY` overrides both. `layers` reads and
//! merges them, `meaning` checks the result. All problems are reported together; see [`SettingsError`].

mod allow_list;
mod kind;
mod layers;
mod log_level;
mod mailbox;
mod meaning;
mod problem;
mod proxies;
mod public_url;
mod raw;
mod secret;
mod spelling;
mod tables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

pub use allow_list::AllowList;
pub use layers::{DEFAULT_TOML, ENV_PREFIX, Source};
pub use log_level::LogLevel;
pub use mailbox::Mailbox;
pub use problem::{Problem, SettingsError};
pub use proxies::TrustedProxies;
pub use public_url::PublicUrl;
pub use secret::{REDACTED, SecretText};

use crate::model::key::Alg;
use layers::Layers;

/// Settings that have been checked. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `server.*`
    pub server: ServerSettings,
    /// `database.*`
    pub database: DatabaseSettings,
    /// `keys.*`
    pub keys: KeySettings,
    /// `tokens.*`
    pub tokens: TokenSettings,
    /// `status_lists.*`
    pub status_lists: StatusListSettings,
    /// `audit.*`
    pub audit: AuditSettings,
    /// `verify.*`
    pub verify: VerifySettings,
    /// `console.*`
    pub console: ConsoleSettings,
    /// `outbound.*`
    pub outbound: OutboundSettings,
    /// `smtp.*`; `None`: mails are only logged.
    pub smtp: Option<SmtpSettings>,
    /// `delivery.*`
    pub delivery: DeliverySettings,
    /// `log.*`
    pub log: LogSettings,
    effective: Vec<Effective>,
}

/// Addresses, the issuer, TLS, trusted proxies and limits.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address that the server listens on.
    pub listen: SocketAddr,
    /// The separate address of `/v1`, `/console` and `/metrics`, if they have one.
    pub management_listen: Option<SocketAddr>,
    /// The origin of the console as browsers see it; `None` if it is that of `public_url`.
    pub management_url: Option<PublicUrl>,
    /// The issuer.
    pub public_url: PublicUrl,
    /// Threads that serve requests, at least one.
    pub workers: usize,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// How long a client may take to send the head of a request, then to send its body, and then to read more of the reply
    /// whenever the server waits for that.
    pub request_timeout: Duration,
    /// How long an idle connection stays open; zero: it is closed after the reply.
    pub keep_alive: Duration,
    /// How long requests are still accepted after SIGTERM, while load balancers move clients elsewhere; zero: not at all.
    pub drain: Duration,
    /// How long requests in flight have to finish after `drain`.
    pub shutdown_timeout: Duration,
    /// The maximum number of open connections of each listener.
    pub max_connections: usize,
    /// Certificate and key; `None` serves plain HTTP.
    pub tls: Option<TlsSettings>,
}

impl ServerSettings {
    /// Scheme, host and port of the console, as browsers see it.
    pub fn console_origin(&self) -> &str {
        self.management_url.as_ref().unwrap_or(&self.public_url).origin()
    }

    /// The URL of the console without `/console`, for links: the console's origin, followed by the path of the issuer.
    pub fn console_base(&self) -> String {
        format!("{}{}", self.console_origin(), self.public_url.path())
    }
}

/// PEM files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate chain, leaf first.
    pub cert_file: PathBuf,
    /// The private key of the certificate.
    pub key_file: PathBuf,
}

/// Which database, and how many connections to it.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://PATH` or `postgres://…`; secret, since it may contain a password.
    pub url: SecretText,
    /// PostgreSQL connections, or SQLite connections that read.
    pub max_connections: u32,
}

impl DatabaseSettings {
    /// The name of the engine.
    pub fn engine(&self) -> &'static str {
        if self.url.expose().starts_with("sqlite:") { "SQLite" } else { "PostgreSQL" }
    }
}

/// The master key, and the publication and rotation of signing keys.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// Where the master key is.
    pub master_key: MasterKey,
    /// `max-age` of the JWKS, in seconds.
    pub jwks_max_age_seconds: i64,
    /// How long a new key is published before it replaces the active one, in seconds; at least the max-age.
    pub pending_seconds: i64,
    /// Days after which the key that signs expiring tokens is replaced; `None`: only by hand.
    pub rotate_every_days: Option<i64>,
}

/// Where the master key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKey {
    /// The key itself, as text.
    Inline(SecretText),
    /// A file.
    File {
        /// The path of the file.
        path: PathBuf,
        /// Whether it was configured; otherwise it is the default path, and the file is created for an empty database.
        explicit: bool,
    },
}

/// How tokens are issued.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// The algorithm that signs tokens, unless the API client has another one.
    pub signing_alg: Alg,
    /// The `aud` of tokens for products without an audience of their own; never the issuer.
    pub default_audience: String,
    /// The lifetime of the tokens of API clients without a `token_expiry` of their own, in seconds.
    pub default_lifetime_seconds: i64,
    /// Tokens that are valid for longer than this, in seconds, are recorded.
    pub record_above_seconds: i64,
    /// How long tokens are still issued while the database is unreachable, in seconds.
    pub serve_stale_seconds: i64,
    /// How the `exp` of a token that never expires is written.
    pub never_expires_exp: NeverExpiresExp,
    /// The `expires_in` of a token response with a token that never expires, in seconds; `None`: it is left out.
    pub never_expires_in: Option<i64>,
}

/// `tokens.never_expires.exp`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeverExpiresExp {
    /// `exp` is the first second of the year 2200.
    Far,
    /// There is no `exp`, and the header says `typ: JWT`.
    Omit,
}

/// How status lists are published.
#[derive(Debug, Clone)]
pub struct StatusListSettings {
    /// How long a verifier may keep a list, in seconds.
    pub ttl_seconds: i64,
}

/// The audit trail.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Days for which audit events are kept; `None`: without limit.
    pub keep_days: Option<i64>,
}

/// Forward authentication (`/oauth2/verify`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifySettings {
    /// Headers in which a token is accepted in addition to `Authorization`, in lower case.
    pub token_headers: Vec<String>,
}

/// The console.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// Whether an operator who signs in with a password needs a second factor too.
    pub second_factor_required: bool,
    /// OpenID Connect providers, each with a unique name.
    pub oidc: Vec<OidcProvider>,
}

/// An OpenID Connect provider with which operators sign in (`[[console.oidc]]`).
#[derive(Debug, Clone)]
pub struct OidcProvider {
    /// The name of the provider in the URLs of sign-in: `a-z`, `0-9` and `-`.
    pub name: String,
    /// The issuer, exactly as in the provider's metadata and ID tokens.
    pub issuer: String,
    /// The id under which this service is registered at the provider.
    pub client_id: String,
    /// The secret of that client id.
    pub client_secret: SecretText,
    /// The claim of the ID token that contains the roles; `None`: the provider signs in only operators who have linked their
    /// account at the provider.
    pub role_claim: Option<String>,
}

/// Requests to other hosts.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// Networks and hosts that may be reached although they are not public.
    pub allow: AllowList,
}

/// The mail server, and the sender and the reply address of mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    /// The host name or IP address of the server; an IPv6 address has no brackets.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// Whether and how the connection is encrypted.
    pub security: SmtpSecurity,
    /// User name and password; `None`: the service does not authenticate.
    pub credentials: Option<(String, SecretText)>,
    /// CA certificates in PEM that are trusted for the mail server, in addition to those that this machine trusts.
    pub ca: Option<String>,
    /// The sender.
    pub from: Mailbox,
    /// Where replies go, if not to the sender.
    pub reply_to: Option<Mailbox>,
}

/// Whether and how the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// From the start (RFC 8314).
    Tls,
    /// By STARTTLS (RFC 3207), which is required before user name, password or mails are sent.
    StartTls,
    /// Not at all.
    Plain,
}

/// The sending of mails and webhooks.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// Whether this process sends them.
    pub worker: bool,
}

/// The format and the level of the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The format of a line.
    pub format: LogFormat,
    /// What is logged.
    pub level: LogLevel,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// One setting in force, as `mintmark check` prints it. Secrets are redacted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    /// Dotted name.
    pub key: String,
    /// The value in force, even if it is derived from other settings.
    pub value: serde_json::Value,
    /// Where it was set.
    pub source: Source,
}

impl Settings {
    /// Reads the embedded defaults, `config_file` if there is one, and the `MINTMARK__…` variables of `env` (see
    /// [`environment`]).
    ///
    /// # Errors
    /// Every problem of every layer and of the settings in force.
    pub fn load(
        config_file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults();
        if let Some(path) = config_file {
            layers.add_file(path);
        }
        layers.add_env(env);
        meaning::of(layers)
    }

    /// Reads the embedded defaults and then these TOML texts, each as if it were a `--config` file.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_toml_layers(texts: &[&str]) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults();
        for (n, text) in (1..).zip(texts) {
            layers.add_toml(&format!("layer {n}"), text);
        }
        meaning::of(layers)
    }

    /// Every setting in force, in the order of the names, secrets redacted.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }
}

/// The addresses with port 0 (the system chooses the port) from which a URL is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPorts {
    /// `server.listen`, if the issuer is derived from it.
    pub public: Option<SocketAddr>,
    /// `server.management_listen`, if the origin of the console is derived from it.
    pub management: Option<SocketAddr>,
}

/// Returns the addresses that the caller has to bind before it loads the settings. The caller then sets `server.listen` and
/// `server.management_listen` to the bound addresses.
/// An invalid address is left out; [`Settings::load`] reports the problem.
pub fn open_ports(config_file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> OpenPorts {
    let mut layers = Layers::defaults();
    if let Some(path) = config_file {
        layers.add_file(path);
    }
    layers.add_env(env);
    let (_, merged) = layers.merge();
    let text = |key| merged.entry(key).and_then(|entry| entry.value.as_str()).unwrap_or_default();
    let open = |address, url| {
        let address: SocketAddr = text(address).parse().ok()?;
        (address.port() == 0 && text(url).is_empty()).then_some(address)
    };
    OpenPorts {
        public: open("server.listen", "server.public_url"),
        management: open("server.management_listen", "server.management_url"),
    }
}

/// The `MINTMARK__…` variables of this process. Bytes that are not UTF-8 are replaced: `std::env::vars` would panic at a
/// variable that has such bytes, whatever its name.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(ENV_PREFIX))
}

#[cfg(test)]
mod tests;
