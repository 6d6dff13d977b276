//! Tries a client secret without using it: what authentication would say, check by check. For the test panel of the
//! console. No use is noted, and no failure counted.

use std::sync::Arc;

use ipnet::IpNet;

use super::{API_CLIENT, Clients, Credentials};
use crate::kernel::{Error, Manager};
use crate::model::refusal::Refusal;
use crate::model::secret::{self, SecretFault};

/// What authentication would find.
#[derive(Debug)]
pub struct Trial {
    /// The client as authentication knows it.
    pub client: Arc<Credentials>,
    /// What is wrong with the form of the secret; `None` also for a text that does not begin like a secret.
    pub fault: Option<SecretFault>,
    /// Whether the client has the secret; `None` if there is a `fault`.
    pub secret: Option<SecretMatch>,
    /// Why the client may not act, whatever the secret.
    pub refusal: Option<Refusal>,
    /// Where the client may authenticate from; empty for anywhere.
    pub allowed_ips: Vec<IpNet>,
}

/// How a text without a `fault` compares with the secrets of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretMatch {
    /// It is a live secret of the client.
    Live,
    /// It is a secret of the client that has expired.
    Expired,
    /// The client has no such secret.
    Unknown,
}

impl Clients {
    /// Tries `plain` for a client within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn try_secret(&self, caller: &Manager, client_id: &str, plain: &str) -> Result<Trial, Error> {
        let client = self.credentials(client_id).await?;
        let client = client
            .filter(|client| caller.reach.covers(&client.workspace_id))
            .ok_or(Error::NotFound(API_CLIENT))?;
        let now = self.kernel.clock.now();
        let fault = secret::fault(plain);
        let is_it = |mac: &[u8]| secret::is_well_formed(plain) && self.kernel.subkeys.is_secret(plain, mac);
        let secret = fault.is_none().then(|| match client.secrets.iter().find(|known| is_it(&known.mac)) {
            None => SecretMatch::Unknown,
            Some(known) if known.expires_at.is_some_and(|at| at <= now) => SecretMatch::Expired,
            Some(_) => SecretMatch::Live,
        });
        let refusal = client.may_act(now).err();
        let allowed_ips = client.allowed_ips.to_vec();
        Ok(Trial { client, fault, secret, refusal, allowed_ips })
    }
}
