//! Recorded access tokens: reads rows of `access_tokens`, and writes when tokens were last introspected.

use std::ops::Deref;

use crate::model::reach::Reach;
use crate::model::status::Slot;
use crate::model::token::RecordedToken;
use crate::storage::engine::{EngineSql, on_read, on_tx, row, statements};
use crate::storage::{Storage, StorageError, Tx};

/// What the database knows of a token by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// It was recorded when it was issued.
    Recorded(Box<RecordedToken>),
    /// It was not recorded, and was revoked individually.
    Denied,
    /// Nothing: it is stateless and was not revoked individually, was never issued, or was revoked or ended long ago.
    Unknown,
}

macro_rules! columns {
    () => {
        "jti, client_id, workspace_id, kid, generation, scope, products, issued_at, expires_at, revoked_at, revoke_at,
            last_introspected_at, issued_by, status_list, status_idx"
    };
}

pub(super) use columns;

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM access_tokens WHERE jti = $1");
    FIND_OF_CLIENT = concat!("SELECT ", columns!(), " FROM access_tokens
        WHERE client_id = $1 AND jti = $2 AND (CAST($3 AS TEXT) IS NULL OR workspace_id = $3)");
}

const INTROSPECTED: EngineSql = EngineSql {
    sqlite: "UPDATE access_tokens SET last_introspected_at = used.value FROM jsonb_each($1) used
        WHERE jti = used.key AND (last_introspected_at IS NULL OR last_introspected_at < used.value)",
    postgres: "UPDATE access_tokens SET last_introspected_at = $2
        WHERE jti = $1 AND (last_introspected_at IS NULL OR last_introspected_at < $2)",
};

row! {
    pub(super) struct TokenRow {
        jti: String,
        client_id: String,
        workspace_id: String,
        kid: String,
        generation: i64,
        scope: String,
        products: String,
        issued_at: i64,
        expires_at: Option<i64>,
        revoked_at: Option<i64>,
        revoke_at: Option<i64>,
        last_introspected_at: Option<i64>,
        issued_by: String,
        status_list: Option<i64>,
        status_idx: Option<i64>,
    }
}

impl From<TokenRow> for RecordedToken {
    fn from(row: TokenRow) -> Self {
        Self {
            jti: row.jti,
            client_id: row.client_id,
            workspace_id: row.workspace_id.into(),
            kid: row.kid.into(),
            generation: row.generation,
            scope: row.scope.into(),
            products: row.products.into(),
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            revoke_at: row.revoke_at,
            slot: Slot::from_columns(row.status_list, row.status_idx),
            last_introspected_at: row.last_introspected_at,
            issued_by: row.issued_by.into(),
        }
    }
}

impl Storage {
    /// What the database knows of the token `jti` of any client.
    pub async fn token_state(&self, jti: &str) -> Result<TokenState, StorageError> {
        let row: Option<TokenRow> =
            on_read!(self, pool => sqlx::query_as(FIND).bind(jti).fetch_optional(pool).await)?;
        if let Some(row) = row {
            return Ok(TokenState::Recorded(Box::new(row.into())));
        }
        Ok(if self.is_denied(jti).await? { TokenState::Denied } else { TokenState::Unknown })
    }

    /// A recorded token of a client within reach.
    pub async fn recorded_token(
        &self,
        reach: &Reach,
        client_id: &str,
        jti: &str,
    ) -> Result<Option<RecordedToken>, StorageError> {
        let row: Option<TokenRow> = on_read!(self, pool => sqlx::query_as(FIND_OF_CLIENT)
            .bind(client_id).bind(jti).bind(reach.limit()).fetch_optional(pool).await)?;
        Ok(row.map(RecordedToken::from))
    }

    /// Writes when recorded tokens were last introspected.
    pub async fn touch_tokens(&self, uses: &[(impl Deref<Target = str>, i64)]) -> Result<(), StorageError> {
        self.touch(&[INTROSPECTED], uses).await
    }
}

impl Tx {
    /// The recorded token `jti`, whichever client it belongs to. Lock that client first if the token is to be changed.
    pub async fn recorded_token(&mut self, jti: &str) -> Result<Option<RecordedToken>, StorageError> {
        let row: Option<TokenRow> =
            on_tx!(self.db, conn => sqlx::query_as(FIND).bind(jti).fetch_optional(&mut *conn).await)?;
        Ok(row.map(RecordedToken::from))
    }
}
