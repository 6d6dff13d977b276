//! The ledger: what every change leaves behind in its own transaction (audit event, mails, the kept reply), and the
//! change counter that keeps the memory of every process true to the database. For all other services.

mod audit;
mod clean_up;
mod follow;
mod idempotency;
mod memory;
mod record;

use std::sync::Arc;

use crate::kernel::{Error, Kernel};

pub use audit::AuditFilter;
pub use follow::{Freshness, POLL_MILLIS};
pub use idempotency::{Keep, Kept, NamedRequest};
pub(crate) use memory::Memory;
pub(crate) use record::{Subject, differences};

use follow::Follow;

/// Writes audit, outbox and kept replies, commits changes, and follows the change counter.
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
