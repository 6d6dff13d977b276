//! The names of those who make changes, for the mails about these changes.

use crate::storage::engine::{on_tx, statements};
use crate::storage::{StorageError, Tx};

statements! {
    NAME_OF_OPERATOR = "SELECT name FROM operators WHERE operator_id = $1";
    LABEL_OF_CLIENT = "SELECT label FROM api_clients WHERE client_id = $1";
}

impl Tx {
    /// The name of an operator, unless they are deleted.
    pub async fn name_of_operator(&mut self, operator_id: &str) -> Result<Option<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(NAME_OF_OPERATOR)
            .bind(operator_id).fetch_optional(&mut *conn).await)?)
    }

    /// The label of an API client, unless it is deleted.
    pub async fn label_of_client(&mut self, client_id: &str) -> Result<Option<String>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(LABEL_OF_CLIENT)
            .bind(client_id).fetch_optional(&mut *conn).await)?)
    }
}
