//! Workspaces: rows of `workspaces`. The rows of deleted workspaces stay, but are not returned.

use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::workspace::Workspace;
use crate::storage::engine::{EngineSql, on_read, on_tx, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! columns {
    () => {
        "workspace_id, name, suspended_at, never_expires_allowed, products_allowed, created_at, updated_at, version,
            description"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM workspaces WHERE workspace_id = $1 AND deleted_at IS NULL");
    COUNT = "SELECT COUNT(*) FROM workspaces
        WHERE deleted_at IS NULL AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)";
    LIST = concat!("SELECT ", columns!(), " FROM workspaces
        WHERE deleted_at IS NULL AND (CAST($1 AS TEXT) IS NULL OR workspace_id > $1)
            AND (CAST($2 AS TEXT) IS NULL OR workspace_id = $2)
        ORDER BY workspace_id LIMIT $3");
    INSERT = concat!("INSERT INTO workspaces (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT DO NOTHING");
    LOCK = concat!("UPDATE workspaces SET version = version WHERE workspace_id = $1 AND deleted_at IS NULL
        RETURNING ", columns!());
    UPDATE = "UPDATE workspaces SET name = $2, suspended_at = $3, never_expires_allowed = $4, products_allowed = $5,
        updated_at = $6, version = $7, description = $8 WHERE workspace_id = $1 AND deleted_at IS NULL";
    DELETE = "UPDATE workspaces SET deleted_at = $2, version = version + 1
        WHERE workspace_id = $1 AND deleted_at IS NULL";
    COUNT_CLIENTS = "SELECT COUNT(*) FROM api_clients WHERE workspace_id = $1";
    HELD = "SELECT g.product, COUNT(*) FROM client_products g JOIN api_clients c ON c.client_id = g.client_id
        WHERE c.workspace_id = $1 GROUP BY g.product ORDER BY g.product";
}

// A form for each engine: SQLite has one writer, PostgreSQL must lock the row.
const SHARE: EngineSql = EngineSql {
    sqlite: FIND,
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM workspaces WHERE workspace_id = $1 AND deleted_at IS NULL FOR SHARE"
    ),
};

row! {
    struct WorkspaceRow {
        workspace_id: String,
        name: String,
        suspended_at: Option<i64>,
        never_expires_allowed: i64,
        products_allowed: Option<String>,
        created_at: i64,
        updated_at: i64,
        version: i64,
        description: Option<String>,
    }
}

impl From<WorkspaceRow> for Workspace {
    fn from(row: WorkspaceRow) -> Self {
        Self {
            workspace_id: row.workspace_id,
            name: row.name,
            suspended_at: row.suspended_at,
            never_expires_allowed: row.never_expires_allowed != 0,
            products_allowed: row
                .products_allowed
                .map(|codes| codes.split_ascii_whitespace().map(str::to_owned).collect()),
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            description: row.description,
        }
    }
}

fn joined(products_allowed: Option<&Vec<String>>) -> Option<String> {
    products_allowed.map(|codes| codes.join(" "))
}

impl Storage {
    /// A workspace, if it is within reach.
    pub async fn workspace(
        &self,
        reach: &Reach,
        workspace_id: &str,
    ) -> Result<Option<Workspace>, StorageError> {
        if !reach.covers(workspace_id) {
            return Ok(None);
        }
        let row: Option<WorkspaceRow> =
            on_read!(self, pool => sqlx::query_as(FIND).bind(workspace_id).fetch_optional(pool).await)?;
        Ok(row.map(Workspace::from))
    }

    /// A page of the workspaces within reach, by id.
    pub async fn workspaces(&self, reach: &Reach, page: &Page) -> Result<Items<Workspace>, StorageError> {
        let rows: Vec<WorkspaceRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(page.after.as_deref()).bind(reach.limit()).bind(i64::from(page.limit) + 1)
            .fetch_all(pool).await)?;
        let workspaces = rows.into_iter().map(Workspace::from).collect();
        let mut total = None;
        if page.count {
            let count =
                on_read!(self, pool => sqlx::query_scalar(COUNT).bind(reach.limit()).fetch_one(pool).await)?;
            total = Some(count);
        }
        let cut = Items::cut(workspaces, page.limit, |workspace: &Workspace| workspace.workspace_id.clone());
        Ok(cut.counted(total))
    }
}

impl Tx {
    /// Adds a workspace. `false` if the id is in use, or was used before.
    pub async fn insert_workspace(&mut self, workspace: &Workspace) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&workspace.workspace_id).bind(&workspace.name).bind(workspace.suspended_at)
            .bind(i64::from(workspace.never_expires_allowed)).bind(joined(workspace.products_allowed.as_ref()))
            .bind(workspace.created_at).bind(workspace.updated_at).bind(workspace.version)
            .bind(workspace.description.as_deref())
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// A workspace within reach, locked until the end of the transaction.
    pub async fn lock_workspace(
        &mut self,
        reach: &Reach,
        workspace_id: &str,
    ) -> Result<Option<Workspace>, StorageError> {
        if !reach.covers(workspace_id) {
            return Ok(None);
        }
        let row: Option<WorkspaceRow> = on_tx!(self.db, conn => sqlx::query_as(LOCK)
            .bind(workspace_id).fetch_optional(&mut *conn).await)?;
        Ok(row.map(Workspace::from))
    }

    /// A workspace within reach that cannot change until the end of the transaction. Several transactions can hold it in
    /// this way at the same time, so that work on one client does not delay the other clients of its workspace.
    pub async fn share_workspace(
        &mut self,
        reach: &Reach,
        workspace_id: &str,
    ) -> Result<Option<Workspace>, StorageError> {
        if !reach.covers(workspace_id) {
            return Ok(None);
        }
        let sql = self.db.choose(SHARE);
        let row: Option<WorkspaceRow> =
            on_tx!(self.db, conn => sqlx::query_as(sql).bind(workspace_id).fetch_optional(&mut *conn).await)?;
        Ok(row.map(Workspace::from))
    }

    /// Writes the changeable members of a workspace.
    pub async fn update_workspace(&mut self, workspace: &Workspace) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&workspace.workspace_id).bind(&workspace.name).bind(workspace.suspended_at)
            .bind(i64::from(workspace.never_expires_allowed)).bind(joined(workspace.products_allowed.as_ref()))
            .bind(workspace.updated_at).bind(workspace.version).bind(workspace.description.as_deref())
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Marks a workspace as deleted; its id cannot be used again.
    pub async fn delete_workspace(&mut self, workspace_id: &str, now: i64) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(workspace_id).bind(now).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// How many API clients a workspace has.
    pub async fn count_workspace_clients(&mut self, workspace_id: &str) -> Result<i64, StorageError> {
        Ok(
            on_tx!(self.db, conn => sqlx::query_scalar(COUNT_CLIENTS).bind(workspace_id).fetch_one(&mut *conn).await)?,
        )
    }

    /// The products that clients of a workspace are granted, by code, each with the number of these clients.
    pub async fn products_held(&mut self, workspace_id: &str) -> Result<Vec<(String, i64)>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_as(HELD).bind(workspace_id).fetch_all(&mut *conn).await)?)
    }
}
