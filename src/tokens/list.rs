//! Recorded access tokens as administrators see them: a page of the tokens of one client or of all clients, or one token.

use std::sync::Arc;

use super::Tokens;
use crate::clients::Credentials;
use crate::kernel::{Caller, Error, Reader};
use crate::model::ids;
use crate::model::page::{Items, Page};
use crate::model::token::RecordedToken;

pub use crate::storage::{ListedTokens, TokenFilter};

impl Tokens {
    /// A page of the recorded tokens of a client within reach, newest first. Tokens that ended are included until their rows
    /// are deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the client, [`Error::Storage`].
    pub async fn access_tokens(
        &self,
        caller: &Reader,
        client_id: &str,
        page: &Page,
    ) -> Result<Items<RecordedToken>, Error> {
        self.client_within_reach(caller, client_id).await?;
        let of_client = TokenFilter {
            client_id: Some(client_id.to_owned()),
            status: ListedTokens::All,
            ..TokenFilter::default()
        };
        self.all_access_tokens(caller, &of_client, page).await
    }

    /// A page of the recorded tokens of all clients within reach, client by client, and the newest token of each client first.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn all_access_tokens(
        &self,
        caller: &Reader,
        filter: &TokenFilter,
        page: &Page,
    ) -> Result<Items<RecordedToken>, Error> {
        let now = self.kernel.clock.now();
        let mut page = self.kernel.storage.recorded_tokens(&caller.reach, filter, page, now).await?;
        for token in &mut page.items {
            self.bring_up_to_date(token);
        }
        Ok(page)
    }

    /// A recorded token of a client within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn access_token(
        &self,
        caller: &Reader,
        client_id: &str,
        jti: &str,
    ) -> Result<RecordedToken, Error> {
        self.client_within_reach(caller, client_id).await?;
        if !ids::is_jti(jti) {
            return Err(Error::NotFound("access token"));
        }
        let found = self.kernel.storage.recorded_token(&caller.reach, client_id, jti).await?;
        let mut token = found.ok_or(Error::NotFound("access token"))?;
        self.bring_up_to_date(&mut token);
        Ok(token)
    }

    /// A client within the caller's reach, from the cache; read from the database if the cache does not have it.
    pub(super) async fn client_within_reach(
        &self,
        caller: &Caller,
        client_id: &str,
    ) -> Result<Arc<Credentials>, Error> {
        let client = self.clients.credentials(client_id).await?;
        client.filter(|client| caller.reach.covers(&client.workspace_id)).ok_or(Error::NotFound("API client"))
    }

    /// Writes the times of the last introspections, which were noted in memory since the last call, to the rows of the tokens.
    ///
    /// # Errors
    /// [`Error::Storage`]; then the times are kept for the next call.
    pub(crate) async fn write_last_introspected(&self) -> Result<(), Error> {
        self.introspected.write(async |rows| self.kernel.storage.touch_tokens(rows).await).await
    }

    /// Adds to a token what is not in its row yet: the last introspection, and the revocation at the end of a grace period.
    fn bring_up_to_date(&self, token: &mut RecordedToken) {
        token.last_introspected_at = token.last_introspected_at.max(self.introspected.pending(&token.jti));
        let now = self.kernel.clock.now();
        token.revoked_at = token.revoked_at.or(token.revoke_at.filter(|at| *at <= now));
    }
}
