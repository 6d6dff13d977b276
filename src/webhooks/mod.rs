//! Webhooks: the URLs to which a workspace wants its events sent, and the keys that sign the requests. For the doors (`manage`,
//! `console` and the command line), and for `delivery`, which sends the requests.

mod change;
mod clean_up;
mod deliveries;
mod dto;
mod health;
mod keys;
mod records;

use std::sync::Arc;

use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::outbound::Outbound;

pub use change::{NoMembers, WebhookChange};
pub use deliveries::WebhookDelivery;
pub use dto::{CreatedWebhook, ReplacedKeys};
pub use keys::SigningSecret;

/// Manages webhooks.
#[derive(Debug)]
pub struct Webhooks {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    outbound: Arc<Outbound>,
}

impl Webhooks {
    pub(crate) fn new(kernel: Arc<Kernel>, ledger: Arc<Ledger>, outbound: Arc<Outbound>) -> Self {
        Self { kernel, ledger, outbound }
    }
}
