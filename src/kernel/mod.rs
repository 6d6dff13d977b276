//! What every service shares: storage, clock, random numbers, subkeys and the policy from the settings; and the types that
//! services and the doors (`oauth`, `manage`, `console`, `cli`) have in common: the caller ([`Caller`]) and its permissions
//! ([`Reader`], [`Manager`]), errors ([`Error`]) and their form for users ([`Problem`]), the expected version
//! ([`Precondition`]), how JSON objects are read (`Fields`) and written (`to_json`), and the clock of rate limiters (`Ticks`).

mod access;
mod error;
mod fields;
mod json;
mod policy;
mod precondition;
mod problem;
mod ticks;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

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
pub(crate) use ticks::Ticks;

/// What a sealed setup link is bound to, in addition to the id of its operator.
const SETUP_LINK_MAIL: &[u8] = b"mail with a setup link";

/// What services share. Every service holds it. No door does, so that doors use the storage only through services.
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

    /// Seals a setup link for the row of the mail that carries it, in base64url.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub(crate) fn seal_setup_link(&self, operator_id: &str, url: &str) -> Result<String, Error> {
        let context = [SETUP_LINK_MAIL, operator_id.as_bytes()];
        Ok(URL_SAFE_NO_PAD.encode(self.subkeys.seal_reply(&self.random, &context, url.as_bytes())?))
    }

    /// Opens what [`Kernel::seal_setup_link`] sealed for the same operator; `None` if it cannot be opened.
    pub(crate) fn open_setup_link(&self, operator_id: &str, sealed: &str) -> Option<Zeroizing<String>> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let url = self.subkeys.open_reply(&[SETUP_LINK_MAIL, operator_id.as_bytes()], &sealed).ok()?;
        std::str::from_utf8(&url).ok().map(|url| Zeroizing::new(url.to_owned()))
    }

    /// A new id for a row (UUIDv7). Each sorts after the one before.
    pub(crate) fn new_id(&self) -> Result<String, Error> {
        Ok(self.ids.next(self.clock.now_millis(), self.random.fill()?))
    }
}
