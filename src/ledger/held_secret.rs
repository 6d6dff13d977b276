//! Notes which secret a saved reply holds, and records an audit event each time that the secret is read from it: for a page of
//! the console, for a file, or for the reply to a repeated request. The first reply of the management API has no such event,
//! since the event of the creation covers it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Ledger, Subject};
use crate::kernel::{Caller, Error};
use crate::model::audit::Action;

/// What a saved reply holds, by the name of its member in the management API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretKind {
    ClientSecret,
    AccessToken,
    /// Of a webhook.
    SigningSecret,
    /// Of an operator.
    SetupLink,
}

/// How a secret in a saved reply is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenAs {
    /// A page of the console.
    Page,
    /// A file, from the console.
    Download,
    /// The reply to a repeated request.
    Reply,
}

/// Which secret a saved reply holds; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldSecret {
    /// `None` if an earlier version saved the reply.
    what: Option<SecretKind>,
    workspace_id: Option<String>,
    client_id: Option<String>,
    /// The id of the record.
    target: String,
}

impl HeldSecret {
    /// A secret of a record.
    pub(crate) fn new(what: SecretKind, subject: Subject<'_>) -> Self {
        Self {
            what: Some(what),
            workspace_id: subject.workspace_id.map(str::to_owned),
            client_id: subject.client_id.map(str::to_owned),
            target: subject.target.to_owned(),
        }
    }

    /// The secret in a reply that an earlier version saved: only the record that it belongs to is known.
    pub(super) fn of_record(target: &str) -> Self {
        Self { what: None, workspace_id: None, client_id: None, target: target.to_owned() }
    }

    /// Reads what is stored beside the reply.
    pub(super) fn read(stored: Option<&str>) -> Result<Option<Self>, Error> {
        let damaged = |_| {
            Error::Crypto("the note that says which secret a saved reply holds cannot be read".to_owned())
        };
        stored.map(|text| serde_json::from_str(text).map_err(damaged)).transpose()
    }

    /// What is stored beside the reply.
    pub(super) fn to_text(&self) -> String {
        // A struct of strings always becomes JSON. If it ever did not, `read` would refuse the empty text.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Ledger {
    /// Records that a secret is about to be given out. If this fails, the secret must not be given out. If a later step fails,
    /// the audit trail has an event although the secret was not given out; the reverse never happens.
    pub(super) async fn record_given(
        &self,
        caller: &Caller,
        secret: &HeldSecret,
        given_as: GivenAs,
    ) -> Result<(), Error> {
        let subject = Subject {
            workspace_id: secret.workspace_id.as_deref(),
            client_id: secret.client_id.as_deref(),
            target: &secret.target,
        };
        let detail = json!({"what": secret.what, "as": given_as});
        let mut tx = self.kernel.storage.begin().await?;
        self.audit(&mut tx, caller, Action::SecretShown, subject, detail).await?;
        self.commit(tx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_note_is_read_back_and_a_damaged_one_is_refused() {
        let token = Subject { workspace_id: Some("acme"), client_id: Some("cl_1"), target: "j1" };
        let held = HeldSecret::new(SecretKind::AccessToken, token);
        assert_eq!(
            held.to_text(),
            r#"{"what":"access_token","workspace_id":"acme","client_id":"cl_1","target":"j1"}"#
        );
        assert_eq!(HeldSecret::read(Some(&held.to_text())).unwrap(), Some(held));
        assert_eq!(HeldSecret::read(None).unwrap(), None);
        for damaged in ["", "{}", "[]", r#"{"what":"key","target":"k"}"#] {
            assert!(HeldSecret::read(Some(damaged)).is_err(), "{damaged}");
        }
    }
}
