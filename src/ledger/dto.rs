//! Audit events as JSON, for the management API and the command line.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::model::audit::{AuditEvent, Recorded};
use crate::model::clock::{UnixSeconds, rfc3339};

#[derive(Serialize)]
struct EventDto<'a> {
    event_id: &'a str,
    #[serde(with = "rfc3339")]
    at: UnixSeconds,
    actor: &'a str,
    action: &'a str,
    workspace_id: Option<&'a str>,
    client_id: Option<&'a str>,
    target: &'a str,
    request_id: Option<&'a str>,
    source_ip: Option<&'a str>,
    detail: &'a Map<String, Value>,
}

/// An event in the form that webhooks get: without its place in the trail, which it has only after the commit, and without its
/// entry. The management API adds both ([`Recorded`]).
impl Serialize for AuditEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = EventDto {
            event_id: &self.event_id,
            at: self.at,
            actor: &self.actor.name,
            action: &self.action,
            workspace_id: self.workspace_id.as_deref(),
            client_id: self.client_id.as_deref(),
            target: &self.target,
            request_id: self.actor.request_id.as_deref(),
            source_ip: self.actor.source_ip.as_deref(),
            detail: &self.detail,
        };
        dto.serialize(serializer)
    }
}

#[derive(Serialize)]
struct RecordedDto<'a> {
    #[serde(flatten)]
    event: &'a AuditEvent,
    log: Option<i64>,
    seq: Option<i64>,
    entry: Option<&'a str>,
}

impl Serialize for Recorded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = RecordedDto {
            event: &self.event,
            log: self.place.map(|place| place.log),
            seq: self.place.map(|place| place.seq),
            entry: self.entry.as_deref(),
        };
        dto.serialize(serializer)
    }
}
