//! A request whose client or key changed between its authentication and its token: it is checked again, once.

use std::net::IpAddr;
use std::sync::Arc;

use super::{IssueError, Issuer};
use crate::clients::Credentials;
use crate::model::proof::Proof;

impl Issuer {
    /// The current client of a request, if the proof with which the request authenticated is still valid. Also reads changes
    /// of the keys by other processes.
    pub(super) async fn judge_again(
        &self,
        client_id: &str,
        proof: &Proof,
        source: Option<IpAddr>,
    ) -> Result<Arc<Credentials>, IssueError> {
        self.ledger.poll().await?;
        self.clients.authenticate_again(client_id, proof, source).await?.map_err(|refusal| {
            tracing::info!(
                target: "mintmark::authenticate",
                reason = refusal.as_str(),
                client_id,
                "client authentication failed: the client was changed during the request"
            );
            IssueError::ClientRefused(refusal)
        })
    }
}
