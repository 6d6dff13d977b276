//! The ledger: what a change writes in its own transaction beside the change itself (audit event, mails, the saved reply),
//! and the change counter by which every process keeps its memory in step with the database. For all other services.

mod audit;
mod clean_up;
mod dto;
mod follow;
mod idempotency;
mod memory;
mod record;

use std::sync::Arc;

use crate::kernel::{Error, Kernel};

pub use audit::AuditFilter;
pub use follow::{Confirmed, Freshness, POLL_MILLIS};
pub use idempotency::{IdempotentRequest, SaveReply, SavedReply};
pub(crate) use memory::Memory;
pub(crate) use record::{Subject, differences};

use follow::Follow;

/// Writes audit events, mails and saved replies, commits changes, and follows the change counter.
#[derive(Debug)]
pub struct Ledger {
    kernel: Arc<Kernel>,
    follow: Follow,
    memories: Vec<Arc<dyn Memory>>,
}

impl Ledger {
    /// Starts following the change counter. Every change that is seen from now on invalidates `memories`.
    ///
    /// # Errors
    /// [`Error::Storage`] if the change counter cannot be read.
    pub(crate) async fn start(kernel: Arc<Kernel>, memories: Vec<Arc<dyn Memory>>) -> Result<Self, Error> {
        let (follow, seq) = Follow::start(&kernel.storage, kernel.clock.as_ref()).await?;
        for memory in &memories {
            memory.invalidate_all(seq);
        }
        Ok(Self { kernel, follow, memories })
    }
}
