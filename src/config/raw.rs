//! The settings as written: the names and types of `config/default.toml`, before their values are checked.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) server: Server,
    pub(super) database: Database,
    pub(super) keys: Keys,
    pub(super) tokens: Tokens,
    pub(super) status_lists: StatusLists,
    pub(super) audit: Audit,
    pub(super) verify: Verify,
    pub(super) console: Console,
    pub(super) outbound: Outbound,
    pub(super) smtp: Smtp,
    pub(super) delivery: Delivery,
    pub(super) log: Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: String,
    pub(super) management_listen: String,
    pub(super) management_url: String,
    pub(super) public_url: String,
    pub(super) workers: i64,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) request_timeout_seconds: i64,
    pub(super) keep_alive_seconds: i64,
    pub(super) drain_seconds: i64,
    pub(super) shutdown_timeout_seconds: i64,
    pub(super) max_connections: i64,
    pub(super) tls: Tls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) cert_file: String,
    pub(super) key_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    pub(super) url: String,
    pub(super) max_connections: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) master_key: String,
    pub(super) master_key_file: String,
    pub(super) jwks_max_age_seconds: i64,
    pub(super) pending_seconds: i64,
    pub(super) rotate_every_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tokens {
    pub(super) signing_alg: String,
    pub(super) default_audience: String,
    pub(super) default_lifetime_seconds: i64,
    pub(super) record_above_seconds: i64,
    pub(super) serve_stale_seconds: i64,
    pub(super) never_expires: NeverExpires,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NeverExpires {
    pub(super) exp: String,
    pub(super) expires_in: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusLists {
    pub(super) ttl_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) keep_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    pub(super) token_headers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Console {
    pub(super) second_factor: String,
    pub(super) oidc: Vec<Oidc>,
}

/// The members that an entry leaves out are empty.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Oidc {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) client_secret_file: String,
    pub(super) role_claim: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbound {
    pub(super) allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Smtp {
    pub(super) url: String,
    pub(super) from: String,
    pub(super) reply_to: String,
    pub(super) ca_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
    pub(super) worker: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: String,
    pub(super) level: String,
}
