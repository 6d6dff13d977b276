//! What a change is about, for the audit trail.

use crate::model::client::ApiClient;

/// The object of a change, for the audit trail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) workspace_id: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    /// The id of the changed record.
    pub(crate) target: &'a str,
}

impl<'a> Subject<'a> {
    /// Something of the platform: a product, a signing key.
    pub(crate) fn platform(target: &'a str) -> Self {
        Self { workspace_id: None, client_id: None, target }
    }

    /// A workspace.
    pub(crate) fn workspace(workspace_id: &'a str) -> Self {
        Self { workspace_id: Some(workspace_id), client_id: None, target: workspace_id }
    }

    /// Something that belongs to a workspace.
    pub(crate) fn of_workspace(workspace_id: &'a str, target: &'a str) -> Self {
        Self { target, ..Self::workspace(workspace_id) }
    }

    /// An API client.
    pub(crate) fn client(client: &'a ApiClient) -> Self {
        Self {
            workspace_id: Some(&client.workspace_id),
            client_id: Some(&client.client_id),
            target: &client.client_id,
        }
    }

    /// Something that belongs to an API client.
    pub(crate) fn of_client(client: &'a ApiClient, target: &'a str) -> Self {
        Self { target, ..Self::client(client) }
    }
}
