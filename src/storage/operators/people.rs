//! Records of operators: rows of `operators` with those of `operator_roles`. A change of an operator first locks the row
//! `operators` of `turns`, so that rules about all operators hold. A sign-in, which only notes that a way in was used, does not
//! lock it.

use std::collections::BTreeMap;

use crate::model::operator::{Operator, Role, Way};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{EngineSql, json_array, on_read, on_tx, row, statements};
use crate::storage::error::parse;
use crate::storage::{Storage, StorageError, Tx, touched};

// One statement, so that record, roles and ways in are of one state of the database.
macro_rules! selected {
    () => {
        "SELECT o.operator_id, o.email, o.name, o.status, o.role_source, o.last_sign_in_at, o.created_at, o.updated_at,
            o.version,
            (SELECT string_agg(r.role || ':' || r.workspace_id, ' ') FROM operator_roles r
                WHERE r.operator_id = o.operator_id) AS roles,
            (SELECT COUNT(*) FROM operator_passkeys p WHERE p.operator_id = o.operator_id) AS passkeys,
            (SELECT COUNT(*) FROM operator_identities i WHERE i.operator_id = o.operator_id) AS identities,
            CAST(CASE WHEN o.password_hash IS NULL THEN 0 ELSE 1 END AS BIGINT) AS passwords,
            CAST(CASE WHEN o.totp_confirmed_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS totps
        FROM operators o"
    };
}

statements! {
    // A separate row, which is locked before any other.
    TAKE_TURN = "UPDATE turns SET number = number WHERE name = 'operators'";
    FIND = concat!(selected!(), " WHERE o.operator_id = $1");
    FIND_BY_EMAIL = concat!(selected!(), " WHERE o.email_key = $1");
    ACTIVE_WITH = concat!(selected!(), " WHERE o.status = 'active' AND EXISTS (SELECT 1 FROM operator_roles r
            WHERE r.operator_id = o.operator_id AND r.role = $1 AND (CAST($2 AS TEXT) IS NULL OR r.workspace_id = $2))
        ORDER BY o.operator_id");
    LIST = concat!(selected!(), " WHERE (CAST($1 AS TEXT) IS NULL OR o.operator_id > $1) ORDER BY o.operator_id LIMIT $2");
    COUNT = "SELECT COUNT(*) FROM operators";
    INSERT = "INSERT INTO operators (operator_id, email, email_key, name, status, role_source, created_at, updated_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE operators SET email = $2, email_key = $3, name = $4, status = $5, updated_at = $6, version = $7
        WHERE operator_id = $1";
    DELETE = "DELETE FROM operators WHERE operator_id = $1";
    DELETE_ROLES = "DELETE FROM operator_roles WHERE operator_id = $1";
    INSERT_ROLE = "INSERT INTO operator_roles (operator_id, role, workspace_id) VALUES ($1, $2, $3)";
    RAISE_IN_WORKSPACE = "UPDATE operators SET updated_at = $2, version = version + 1
        WHERE operator_id IN (SELECT operator_id FROM operator_roles WHERE workspace_id = $1)";
    DELETE_ROLES_IN_WORKSPACE = "DELETE FROM operator_roles WHERE workspace_id = $1";
    // Has the same rule as `Operator::has_way_in`.
    COUNT_OTHER_ADMINS = "SELECT COUNT(*) FROM operators o
        WHERE o.operator_id <> $1 AND o.status = 'active'
            AND EXISTS (SELECT 1 FROM operator_roles r
                WHERE r.operator_id = o.operator_id AND r.role = 'platform_admin')
            AND (EXISTS (SELECT 1 FROM operator_passkeys p WHERE p.operator_id = o.operator_id)
                OR EXISTS (SELECT 1 FROM operator_identities i WHERE i.operator_id = o.operator_id)
                OR (o.password_hash IS NOT NULL AND ($2 = 0 OR o.totp_confirmed_at IS NOT NULL)))";
}

macro_rules! named {
    ($among:literal) => {
        concat!(
            "SELECT o.operator_id, o.name FROM operators o WHERE o.operator_id IN (",
            $among,
            ") AND (CAST($2 AS TEXT) IS NULL OR EXISTS
                (SELECT 1 FROM operator_roles r WHERE r.operator_id = o.operator_id AND r.workspace_id = $2))"
        )
    };
}

const NAMED: EngineSql = EngineSql {
    sqlite: named!("SELECT value FROM json_each($1)"),
    postgres: named!("SELECT jsonb_array_elements_text(CAST($1 AS JSONB))"),
};

row! {
    struct OperatorRow {
        operator_id: String,
        email: String,
        name: String,
        status: String,
        role_source: Option<String>,
        last_sign_in_at: Option<i64>,
        created_at: i64,
        updated_at: i64,
        version: i64,
        roles: Option<String>,
        passkeys: i64,
        identities: i64,
        passwords: i64,
        totps: i64,
    }
}

impl TryFrom<OperatorRow> for Operator {
    type Error = StorageError;

    fn try_from(row: OperatorRow) -> Result<Self, StorageError> {
        let mut roles = row
            .roles
            .iter()
            .flat_map(|roles| roles.split_ascii_whitespace())
            .map(|role| {
                role.split_once(':').and_then(|(name, workspace_id)| Role::of(name, workspace_id)).ok_or_else(
                    || StorageError::Damaged(format!("operator_roles.role is `{}`", role.escape_debug())),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        roles.sort();
        let ways = [
            (Way::Passkey, row.passkeys),
            (Way::Password, row.passwords),
            (Way::Totp, row.totps),
            (Way::Oidc, row.identities),
        ];
        Ok(Self {
            operator_id: row.operator_id,
            email: row.email,
            name: row.name,
            status: parse("operators.status", &row.status)?,
            roles,
            role_source: row.role_source,
            sign_in: ways.into_iter().filter(|(_, count)| *count > 0).map(|(way, _)| way).collect(),
            last_sign_in_at: row.last_sign_in_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

impl Storage {
    /// An operator by id.
    pub async fn operator(&self, operator_id: &str) -> Result<Option<Operator>, StorageError> {
        let row: Option<OperatorRow> =
            on_read!(self, pool => sqlx::query_as(FIND).bind(operator_id).fetch_optional(pool).await)?;
        row.map(Operator::try_from).transpose()
    }

    /// The names of these operators, by id. With a reach of one workspace, only of those who have a role in it.
    pub async fn operator_names(
        &self,
        reach: &Reach,
        operator_ids: &[&str],
    ) -> Result<BTreeMap<String, String>, StorageError> {
        if operator_ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (sql, ids) = (self.db.choose(NAMED), json_array(operator_ids));
        let rows: Vec<(String, String)> = on_read!(self, pool => sqlx::query_as(sql)
            .bind(&ids).bind(reach.limit()).fetch_all(pool).await)?;
        Ok(rows.into_iter().collect())
    }

    /// An operator by the address they sign in with, in lower case.
    pub async fn operator_by_email(&self, email_key: &str) -> Result<Option<Operator>, StorageError> {
        let row: Option<OperatorRow> =
            on_read!(self, pool => sqlx::query_as(FIND_BY_EMAIL).bind(email_key).fetch_optional(pool).await)?;
        row.map(Operator::try_from).transpose()
    }

    /// A page of operators, in the order in which they were created.
    pub async fn operators(&self, page: &Page) -> Result<Items<Operator>, StorageError> {
        let rows: Vec<OperatorRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(page.after.as_deref()).bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        let operators = rows.into_iter().map(Operator::try_from).collect::<Result<Vec<_>, _>>()?;
        let mut total = None;
        if page.count {
            total = Some(self.count_operators().await?);
        }
        let cut = Items::cut(operators, page.limit, |operator: &Operator| operator.operator_id.clone());
        Ok(cut.counted(total))
    }

    /// How many operators there are.
    pub async fn count_operators(&self) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?)
    }
}

impl Tx {
    /// The active operators who have a role, in one workspace or anywhere.
    pub async fn active_operators_with(
        &mut self,
        role: &str,
        workspace_id: Option<&str>,
    ) -> Result<Vec<Operator>, StorageError> {
        let rows: Vec<OperatorRow> = on_tx!(self.db, conn => sqlx::query_as(ACTIVE_WITH)
            .bind(role).bind(workspace_id).fetch_all(&mut *conn).await)?;
        rows.into_iter().map(Operator::try_from).collect()
    }

    /// Waits for the turn to change operators, and keeps it until the end of the transaction. Take the turn before any
    /// other lock.
    pub async fn take_turn_of_operators(&mut self) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(TAKE_TURN).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// An operator by id, within the turn.
    pub async fn operator(&mut self, operator_id: &str) -> Result<Option<Operator>, StorageError> {
        let row: Option<OperatorRow> =
            on_tx!(self.db, conn => sqlx::query_as(FIND).bind(operator_id).fetch_optional(&mut *conn).await)?;
        row.map(Operator::try_from).transpose()
    }

    /// An operator by their address in lower case, within the turn.
    pub async fn operator_by_email(&mut self, email_key: &str) -> Result<Option<Operator>, StorageError> {
        let row: Option<OperatorRow> = on_tx!(self.db, conn => sqlx::query_as(FIND_BY_EMAIL)
            .bind(email_key).fetch_optional(&mut *conn).await)?;
        row.map(Operator::try_from).transpose()
    }

    /// How many operators there are, within the turn.
    pub async fn count_operators(&mut self) -> Result<i64, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(COUNT).fetch_one(&mut *conn).await)?)
    }

    /// Adds an operator with their roles. `false` if the address is taken.
    pub async fn insert_operator(&mut self, operator: &Operator) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&operator.operator_id).bind(&operator.email).bind(Operator::email_key(&operator.email))
            .bind(&operator.name).bind(operator.status.as_str()).bind(operator.role_source.as_deref())
            .bind(operator.created_at).bind(operator.updated_at).bind(operator.version)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        if !touched(rows) {
            return Ok(false);
        }
        self.insert_roles(operator).await?;
        Ok(true)
    }

    /// Writes the changeable members of an operator and their roles. [`StorageError::Conflict`] if the address is taken.
    pub async fn update_operator(&mut self, operator: &Operator) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(UPDATE)
            .bind(&operator.operator_id).bind(&operator.email).bind(Operator::email_key(&operator.email))
            .bind(&operator.name).bind(operator.status.as_str()).bind(operator.updated_at).bind(operator.version)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        if !touched(rows) {
            return Ok(false);
        }
        on_tx!(self.db, conn => sqlx::query(DELETE_ROLES)
            .bind(&operator.operator_id).execute(&mut *conn).await.map(|_| ()))?;
        self.insert_roles(operator).await?;
        Ok(true)
    }

    async fn insert_roles(&mut self, operator: &Operator) -> Result<(), StorageError> {
        for role in &operator.roles {
            on_tx!(self.db, conn => sqlx::query(INSERT_ROLE)
                .bind(&operator.operator_id).bind(role.as_str()).bind(role.stored_workspace_id())
                .execute(&mut *conn).await.map(|_| ()))?;
        }
        Ok(())
    }

    /// Removes an operator with all that belongs to them.
    pub async fn delete_operator(&mut self, operator_id: &str) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(DELETE)
            .bind(operator_id).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Removes all roles in a workspace, before the workspace is deleted; within the turn.
    pub async fn delete_roles_in_workspace(
        &mut self,
        workspace_id: &str,
        now: i64,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(RAISE_IN_WORKSPACE)
            .bind(workspace_id).bind(now).execute(&mut *conn).await.map(|_| ()))?;
        on_tx!(self.db, conn => sqlx::query(DELETE_ROLES_IN_WORKSPACE)
            .bind(workspace_id).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// How many platform administrators besides this operator are active and can sign in, within the turn.
    pub async fn count_other_admins(
        &mut self,
        operator_id: &str,
        second_factor_required: bool,
    ) -> Result<i64, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(COUNT_OTHER_ADMINS)
            .bind(operator_id).bind(i64::from(second_factor_required)).fetch_one(&mut *conn).await)?)
    }
}
