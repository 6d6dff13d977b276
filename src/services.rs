//! Puts the services together, in the order in which they depend on each other. The doors (`oauth`, `manage`,
//! `console`, `cli`) use the storage only through the services.

use std::sync::Arc;

use crate::clients::{Clients, CredentialCache};
use crate::delivery::{Smtp, Webhook, Worker};
use crate::issuance::{Issuer, StatusLists, TokenPolicy};
use crate::kernel::{Error, Kernel, Policy};
use crate::ledger::Ledger;
use crate::model::clock::Clock;
use crate::operators::Operators;
use crate::outbound::Outbound;
use crate::reminders::Reminders;
use crate::signing::ring::KeyRing;
use crate::signing::{RingReloader, Signing};
use crate::tenants::Tenants;
use crate::tokens::{StatusListChanges, Tokens};
use crate::usage::Usage;
use crate::vault::root::Subkeys;
use crate::webhooks::Webhooks;

/// Every service, over one open database.
#[derive(Debug)]
pub struct Services {
    kernel: Arc<Kernel>,
    outbound: Arc<Outbound>,
    /// Audit, deliveries, saved replies, the change counter.
    pub ledger: Arc<Ledger>,
    /// What API clients did, and why they were refused.
    pub usage: Arc<Usage>,
    /// API clients and their secrets.
    pub clients: Arc<Clients>,
    /// Recorded tokens, slots in status lists, and which tokens are live.
    pub tokens: Arc<Tokens>,
    /// Workspaces and products.
    pub tenants: Arc<Tenants>,
    /// The people who sign in to the console.
    pub operators: Arc<Operators>,
    /// The webhooks of workspaces: the URLs to which events are sent.
    pub webhooks: Arc<Webhooks>,
    /// Reminds contacts before an API client, a secret or a token expires.
    pub reminders: Reminders,
    /// Signing keys and the master key.
    pub signing: Arc<Signing>,
    /// The parsed keys that sign and verify.
    pub ring: Arc<KeyRing>,
    /// Issues tokens.
    pub issuer: Arc<Issuer>,
    /// Publishes the status lists.
    pub status_lists: Arc<StatusLists>,
}

/// Why the services cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// A service could not be started, for example because the database does not answer.
    #[error(transparent)]
    Service(#[from] Error),
    /// The issuer identifier is not one that a verifier accepts.
    #[error("server.public_url: {0}")]
    Issuer(String),
}

impl Services {
    /// Puts the services together over `kernel`. They reach other hosts through `outbound`. Signing keys are not read yet.
    ///
    /// # Errors
    /// [`AssemblyError`].
    pub async fn assemble(
        kernel: Kernel,
        tokens: TokenPolicy,
        outbound: Arc<Outbound>,
    ) -> Result<Self, AssemblyError> {
        let kernel = Arc::new(kernel);
        let ring = Arc::new(KeyRing::new(Arc::clone(&kernel.subkeys), kernel.policy.signing_alg));
        let cache = Arc::new(CredentialCache::default());
        let list_changes = Arc::new(StatusListChanges::default());
        let ring_reloader = Arc::new(RingReloader::new(Arc::clone(&kernel), Arc::clone(&ring)));
        let ledger = Ledger::start(
            Arc::clone(&kernel),
            vec![Arc::clone(&cache) as _, Arc::clone(&list_changes) as _, Arc::clone(&ring_reloader) as _],
        );
        let ledger = Arc::new(ledger.await?);
        let usage = Arc::new(Usage::new(Arc::clone(&kernel), Arc::clone(&ledger)));
        let (k, l) = (Arc::clone(&kernel), Arc::clone(&ledger));
        let clients = Arc::new(Clients::new(k, l, Arc::clone(&usage), cache));
        let shared = || (Arc::clone(&kernel), Arc::clone(&ledger), Arc::clone(&clients));
        let (k, l, c) = shared();
        let token_service = Arc::new(Tokens::new(k, l, c, list_changes));
        let (k, l, c) = shared();
        let tenants = Arc::new(Tenants::new(k, l, c));
        let operators = Arc::new(Operators::new(Arc::clone(&kernel), Arc::clone(&ledger)));
        let webhooks =
            Arc::new(Webhooks::new(Arc::clone(&kernel), Arc::clone(&ledger), Arc::clone(&outbound)));
        let reminders = Reminders::new(Arc::clone(&kernel), Arc::clone(&ledger));
        let (k, l, c) = shared();
        let signing = Arc::new(Signing::new(k, l, c, Arc::clone(&ring), ring_reloader));
        let (k, l, c) = shared();
        let issuer = Issuer::new(k, l, c, Arc::clone(&token_service), Arc::clone(&ring), tokens);
        let issuer = Arc::new(issuer.map_err(AssemblyError::Issuer)?);
        let status_lists = StatusLists::new(
            Arc::clone(&kernel),
            Arc::clone(&ledger),
            Arc::clone(&token_service),
            Arc::clone(&ring),
        );
        Ok(Self {
            kernel,
            outbound,
            ledger,
            usage,
            clients,
            tokens: token_service,
            tenants,
            operators,
            webhooks,
            reminders,
            signing,
            ring,
            issuer,
            status_lists: Arc::new(status_lists),
        })
    }

    /// The worker that sends queued deliveries.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there are no random numbers.
    pub fn worker(&self, smtp: Smtp) -> Result<Worker, Error> {
        let (kernel, webhooks) = (Arc::clone(&self.kernel), Arc::clone(&self.webhooks));
        let webhook = Webhook::new(kernel, webhooks, Arc::clone(&self.outbound));
        Worker::new(Arc::clone(&self.kernel), Arc::clone(&self.ledger), smtp, webhook)
    }

    /// The clock that all services use.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.kernel.clock
    }

    /// The settings that rules depend on.
    pub fn policy(&self) -> &Policy {
        &self.kernel.policy
    }

    /// The subkeys, with which the doors authenticate page cursors and form tokens and compute entity tags.
    pub fn subkeys(&self) -> &Subkeys {
        &self.kernel.subkeys
    }

    /// Writes the last uses of secrets and tokens, which are noted only in memory until then.
    ///
    /// # Errors
    /// [`Error::Storage`]; then the uses that were not written stay noted.
    pub async fn write_last_used(&self) -> Result<(), Error> {
        self.clients.write_last_used().await?;
        self.tokens.write_last_introspected().await
    }

    /// Deletes what is no longer needed, and gives the freed space back to the file system. Both are done in small batches, so
    /// that no other write waits long.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was deleted before the error stays deleted. [`Error::Clock`] while the clock is doubtful.
    pub async fn clean_up(&self) -> Result<(), Error> {
        let now = self.ledger.trusted_now()?;
        self.ledger.clean_up(now).await?;
        self.tokens.clean_up(now).await?;
        self.operators.clean_up(now).await?;
        self.usage.clean_up(now).await?;
        self.webhooks.clean_up(now).await?;
        while self.kernel.storage.give_back_space().await? {}
        Ok(())
    }

    /// Closes the database; the last thing a process does with it.
    pub async fn close(&self) {
        self.kernel.storage.close().await;
    }
}
