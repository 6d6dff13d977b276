//! Checks a request again if its client or the signing key changed after the authentication, before the token was recorded.

use std::net::IpAddr;
use std::sync::Arc;

use super::{IssueError, Issuer};
use crate::clients::Credentials;
use crate::model::proof::Proof;

impl Issuer {
    /// The current client of a request, if the proof with which the client authenticated is still valid. Also reads the
    /// changes that other processes made, for example to signing keys.
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
