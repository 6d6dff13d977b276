//! The events of a tree in order, for an export: as they are stored, with entry and hash, so that anybody who has the export
//! can check it without this program (`examples/audit-verify`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::kernel::{Error, Manager};
use crate::ledger::Ledger;
use crate::model::audit::Recorded;
use crate::model::audit_entry::event_of;
use crate::model::clock::{UnixSeconds, rfc3339};

/// An event as it is exported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedEvent {
    /// The number of its tree.
    pub log: i64,
    /// The number of the event in that tree.
    pub seq: i64,
    /// The hash of its leaf, in base64.
    pub leaf: String,
    /// The bytes that are hashed; `None` once they were deleted.
    pub entry: Option<String>,
    /// Its id.
    pub event_id: String,
    /// When it happened.
    #[serde(with = "rfc3339")]
    pub at: UnixSeconds,
    /// Who did it.
    pub actor: String,
    /// What happened.
    pub action: String,
    /// The workspace; `None` for platform-wide records, such as products, signing keys and operators.
    pub workspace_id: Option<String>,
    /// The API client, if the event is about one.
    pub client_id: Option<String>,
    /// The id of the record that the event is about.
    pub target: String,
    /// The id of the request that caused it.
    pub request_id: Option<String>,
    /// The IP address that the request came from.
    pub source_ip: Option<String>,
    /// The facts of the event; empty once they were deleted.
    pub detail: Map<String, Value>,
}

impl ExportedEvent {
    fn new((recorded, leaf): (Recorded, Vec<u8>)) -> Option<Self> {
        let Recorded { event, place, entry } = recorded;
        let detail = entry.as_deref().and_then(event_of).map_or(event.detail, |entered| entered.detail);
        let place = place?;
        Some(Self {
            log: place.log,
            seq: place.seq,
            leaf: STANDARD.encode(leaf),
            entry,
            event_id: event.event_id,
            at: event.at,
            actor: event.actor.name,
            action: event.action,
            workspace_id: event.workspace_id,
            client_id: event.client_id,
            target: event.target,
            request_id: event.actor.request_id,
            source_ip: event.actor.source_ip,
            detail,
        })
    }
}

impl Ledger {
    /// The numbers of the trees, the oldest first.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn audit_logs(&self, caller: &Manager) -> Result<Vec<i64>, Error> {
        caller.must_manage_platform("the audit trail")?;
        Ok(self.kernel.storage.audit_trees().await?.iter().map(|tree| tree.log).collect())
    }

    /// Up to `limit` events of a tree from number `from` on.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn export_audit(
        &self,
        caller: &Manager,
        log: i64,
        from: i64,
        limit: u32,
    ) -> Result<Vec<ExportedEvent>, Error> {
        caller.must_manage_platform("the audit trail")?;
        let events = self.kernel.storage.events_of_tree(log, from, limit).await?;
        Ok(events.into_iter().filter_map(ExportedEvent::new).collect())
    }
}
