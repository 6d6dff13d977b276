//! Usage and refused requests as JSON: what the management API and the command line show.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::reading::ClientUsage;
use crate::model::clock::{UnixSeconds, rfc3339, to_rfc3339};
use crate::model::refusal::Failure;
use crate::model::usage::{DayUsage, SeenFrom};

#[derive(Serialize)]
struct DayDto<'a> {
    day: &'a str,
    issued: i64,
    /// Always 0: in this version, each request gets a new token.
    reused: i64,
    refused: &'a BTreeMap<&'static str, i64>,
}

impl Serialize for DayUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instant = to_rfc3339(self.day);
        let day = instant.split_once('T').map_or(instant.as_str(), |(day, _)| day);
        DayDto { day, issued: self.issued, reused: 0, refused: &self.refused }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct SeenFromDto<'a> {
    network: &'a str,
    #[serde(with = "rfc3339")]
    last_seen_at: UnixSeconds,
}

impl Serialize for SeenFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SeenFromDto { network: &self.network, last_seen_at: self.last_seen_at }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct UsageDto<'a> {
    items: &'a [DayUsage],
    seen_from: &'a [SeenFrom],
}

impl Serialize for ClientUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        UsageDto { items: &self.days, seen_from: &self.seen_from }.serialize(serializer)
    }
}

#[derive(Serialize)]
struct FailureDto<'a> {
    client_id: Option<&'a str>,
    workspace_id: Option<&'a str>,
    #[serde(with = "rfc3339")]
    at: UnixSeconds,
    endpoint: &'static str,
    reason: &'static str,
    message: String,
    source_ip: Option<&'a str>,
    secret_last_four: Option<&'a str>,
    request_id: &'a str,
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = FailureDto {
            client_id: self.client_id.as_deref(),
            workspace_id: self.workspace_id.as_deref(),
            at: self.at,
            endpoint: self.endpoint.as_str(),
            reason: self.reason.as_str(),
            message: self.message(),
            source_ip: self.source_ip.as_deref(),
            secret_last_four: self.secret_last_four.as_deref(),
            request_id: &self.request_id,
        };
        dto.serialize(serializer)
    }
}
