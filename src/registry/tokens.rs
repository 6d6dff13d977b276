//! Recorded tokens: the row is written only if everything the token was made on still holds.

use super::{Error, Registry};
use crate::model::token::RecordedToken;
use crate::storage::{IssueGuard, Standing};

impl Registry {
    /// Records a token, or says why it may not be born. The row is durable when this returns [`Standing::Good`].
    pub async fn record_token(&self, token: &RecordedToken, guard: &IssueGuard) -> Result<Standing, Error> {
        let mut tx = self.storage.begin().await?;
        let standing = tx.may_issue(token, guard).await?;
        if standing == Standing::Good {
            tx.insert_recorded_token(token).await?;
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(standing)
    }
}
