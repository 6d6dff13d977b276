//! How workspaces and products read as JSON.

use serde_json::{Value, json};

use crate::kernel::Representation;
use crate::model::clock::to_rfc3339;
use crate::model::product::Product;
use crate::model::workspace::Workspace;

impl Representation for Product {
    fn to_json(&self) -> Value {
        json!({
            "product": self.product,
            "name": self.name,
            "audience": self.audience,
            "max_token_lifetime_seconds": self.max_token_lifetime_seconds,
            "never_expires_allowed": self.never_expires_allowed,
            "created_at": to_rfc3339(self.created_at),
            "updated_at": to_rfc3339(self.updated_at),
        })
    }
}

impl Representation for Workspace {
    fn to_json(&self) -> Value {
        json!({
            "workspace_id": self.workspace_id,
            "name": self.name,
            "status": self.status(),
            "never_expires_allowed": self.never_expires_allowed,
            "products_allowed": self.products_allowed,
            "created_at": to_rfc3339(self.created_at),
            "updated_at": to_rfc3339(self.updated_at),
        })
    }
}
