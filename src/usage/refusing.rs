//! Notes refused requests, and shows them.

use std::net::IpAddr;

use super::{API_CLIENT, Usage};
use crate::kernel::{Error, Reader};
use crate::model::ids;
use crate::model::page::{Items, Page};
use crate::model::refusal::{Endpoint, Failure, Refusal};

/// A request that was refused, as the endpoint that refused it describes it.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// The endpoint that refused it.
    pub endpoint: Endpoint,
    /// Why.
    pub reason: Refusal,
    /// What the reply to a malformed request says.
    pub detail: Option<&'a str>,
    /// What the request gives as its client id. It is kept only if it has the form of a client id, since it may be a secret.
    pub client_id: &'a str,
    /// The last four characters of the secret that was sent, if it has the form of a secret.
    pub secret_last_four: Option<&'a str>,
    /// The address that the request came from, if it is known.
    pub source: Option<IpAddr>,
    /// The id of the request, as in `X-Request-Id`.
    pub request_id: &'a str,
}

impl Usage {
    /// Counts a refused request and keeps it for the lists of refused requests.
    #[cold]
    pub fn refused(&self, refused: Refused<'_>) {
        // Without random numbers there is no id, and nothing else works either.
        let Ok(failure_id) = self.kernel.new_id() else { return };
        let text = |text: &str| text.to_owned();
        let failure = Failure {
            failure_id,
            client_id: ids::is_client_id(refused.client_id).then(|| text(refused.client_id)),
            workspace_id: None,
            at: self.kernel.clock.now(),
            endpoint: refused.endpoint,
            reason: refused.reason,
            detail: refused.detail.map(text),
            source_ip: refused.source.map(|source| source.to_canonical().to_string()),
            secret_last_four: refused.secret_last_four.map(text),
            request_id: text(refused.request_id),
        };
        self.pending().refused(failure);
    }

    /// A page of the last refused requests of a client within reach, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn failures(
        &self,
        caller: &Reader,
        client_id: &str,
        page: &Page,
    ) -> Result<Items<Failure>, Error> {
        self.must_be_within_reach(caller, client_id).await?;
        self.flush_to_look().await;
        Ok(self.kernel.storage.failures(Some(client_id), page).await?)
    }

    /// A page of the last refused requests of all clients, and of those that name no client that exists, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn all_failures(&self, caller: &Reader, page: &Page) -> Result<Items<Failure>, Error> {
        caller.must_read_platform("the refused requests of all clients")?;
        self.flush_to_look().await;
        Ok(self.kernel.storage.failures(None, page).await?)
    }

    pub(super) async fn must_be_within_reach(&self, caller: &Reader, client_id: &str) -> Result<(), Error> {
        if ids::is_client_id(client_id)
            && self.kernel.storage.client_is_within(&caller.reach, client_id).await?
        {
            return Ok(());
        }
        Err(Error::NotFound(API_CLIENT))
    }
}
