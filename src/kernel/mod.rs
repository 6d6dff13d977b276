//! What every service shares: storage, clock, random numbers, subkeys and the policy from the settings; and the types that
//! services and doors have in common: the caller ([`Caller`]) and its permissions ([`Reader`], [`Manager`]), errors
//! ([`Error`]), the expected version ([`Precondition`]), and how JSON objects are read (`Fields`) and written (`to_json`).

mod access;
mod error;
mod fields;
mod json;
mod policy;
mod precondition;
mod problem;

use std::sync::Arc;

use crate::model::clock::Clock;
use crate::model::ids::OrderedIds;
use crate::storage::Storage;
use crate::vault::random::Random;
use crate::vault::root::Subkeys;

pub use access::{Caller, Manager, Reader};
pub use error::Error;
pub(crate) use error::scope;
pub(crate) use fields::Fields;
pub(crate) use json::to_json;
pub use policy::Policy;
pub use precondition::Precondition;
pub use problem::{Kind as ProblemKind, Problem};

/// What services share. Each service has it, but no door, so that doors use the storage only through services.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) subkeys: Arc<Subkeys>,
    pub(crate) policy: Policy,
    ids: OrderedIds,
}

impl Kernel {
    /// A kernel over an open database.
    pub fn new(
        storage: Storage,
        clock: Arc<dyn Clock>,
        random: Random,
        subkeys: Arc<Subkeys>,
        policy: Policy,
    ) -> Self {
        Self { storage, clock, random, subkeys, policy, ids: OrderedIds::default() }
    }

    /// A new id for a row (UUIDv7). Each sorts after the one before.
    pub(crate) fn new_id(&self) -> Result<String, Error> {
        Ok(self.ids.next(self.clock.now_millis(), self.random.fill()?))
    }
}
