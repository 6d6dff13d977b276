//! Workspaces and products as JSON: what the management API and the command line show, and what the audit trail records
//! of a change.

use serde::{Serialize, Serializer};

use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::product::Product;
use crate::model::workspace::Workspace;

/// The members of a product that an administrator sets.
#[derive(Debug, Serialize)]
pub(super) struct ProductSettings<'a> {
    name: &'a str,
    description: Option<&'a str>,
    audience: Option<&'a str>,
    max_token_lifetime_seconds: Option<i64>,
    never_expires_allowed: bool,
}

impl<'a> From<&'a Product> for ProductSettings<'a> {
    fn from(product: &'a Product) -> Self {
        Self {
            name: &product.name,
            description: product.description.as_deref(),
            audience: product.audience.as_deref(),
            max_token_lifetime_seconds: product.max_token_lifetime_seconds,
            never_expires_allowed: product.never_expires_allowed,
        }
    }
}

#[derive(Serialize)]
struct ProductDto<'a> {
    product: &'a str,
    #[serde(flatten)]
    settings: ProductSettings<'a>,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339")]
    updated_at: UnixSeconds,
}

impl Serialize for Product {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = ProductDto {
            product: &self.product,
            settings: self.into(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        dto.serialize(serializer)
    }
}

/// The members of a workspace that an administrator sets.
#[derive(Debug, Serialize)]
pub(super) struct WorkspaceSettings<'a> {
    name: &'a str,
    description: Option<&'a str>,
    status: &'static str,
    never_expires_allowed: bool,
    products_allowed: Option<&'a [String]>,
}

impl<'a> From<&'a Workspace> for WorkspaceSettings<'a> {
    fn from(workspace: &'a Workspace) -> Self {
        Self {
            name: &workspace.name,
            description: workspace.description.as_deref(),
            status: workspace.status(),
            never_expires_allowed: workspace.never_expires_allowed,
            products_allowed: workspace.products_allowed.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct WorkspaceDto<'a> {
    workspace_id: &'a str,
    #[serde(flatten)]
    settings: WorkspaceSettings<'a>,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339")]
    updated_at: UnixSeconds,
}

impl Serialize for Workspace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = WorkspaceDto {
            workspace_id: &self.workspace_id,
            settings: self.into(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        dto.serialize(serializer)
    }
}
