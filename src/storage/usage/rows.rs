//! What a process has counted, as rows to store.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::clock::UnixSeconds;
use crate::model::inline_id::{ClientId, SecretId};
use crate::model::refusal::Failure;
use crate::model::usage::Outcome;

/// How often a client had an outcome in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRow {
    /// The client.
    pub client_id: ClientId,
    /// When the hour begins.
    pub hour: UnixSeconds,
    /// The outcome of its requests.
    pub outcome: Outcome,
    /// How often.
    pub times: i64,
}

/// How often a secret was accepted in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUseRow {
    /// The secret.
    pub secret_id: SecretId,
    /// When the hour begins.
    pub hour: UnixSeconds,
    /// How often.
    pub times: i64,
}

/// Where a secret was last used from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The client whose secret it is.
    pub client_id: ClientId,
    /// The secret.
    pub secret_id: SecretId,
    /// The address.
    pub source_ip: IpAddr,
    /// When.
    pub used_at: UnixSeconds,
}

/// A network that a client authenticated from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRow {
    /// The client.
    pub client_id: ClientId,
    /// The network.
    pub network: IpNet,
    /// When it was last seen there.
    pub last_seen_at: UnixSeconds,
    /// The secret that it used. It is not stored, but reported if the network is new.
    pub secret_id: SecretId,
    /// The address, which is not stored either.
    pub source_ip: IpAddr,
}

/// What was stored for the first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstSeen {
    /// The ids of secrets that were used for the first time.
    pub secrets: Vec<String>,
    /// Networks that a client was seen in for the first time: the id of the client, and the network.
    pub networks: Vec<(String, String)>,
}

/// What a process has counted since it last stored its counts. No two rows of a list have the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageRows {
    /// By client, hour and outcome.
    pub counts: Vec<CountRow>,
    /// By secret and hour.
    pub secret_uses: Vec<SecretUseRow>,
    /// By secret.
    pub sources: Vec<SourceRow>,
    /// By client and network.
    pub networks: Vec<NetworkRow>,
    /// Refused requests, oldest first.
    pub failures: Vec<Failure>,
}

impl UsageRows {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
            && self.secret_uses.is_empty()
            && self.sources.is_empty()
            && self.networks.is_empty()
            && self.failures.is_empty()
    }
}
