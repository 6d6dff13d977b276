//! Operators: the people who sign in to the console. Their records and roles, setup links, ways in (passkeys, passwords,
//! authenticator apps, linked accounts), sessions, and limits on sign-in attempts. Builds the
//! [`Caller`](crate::kernel::Caller) of a request from a session and the current roles. For the doors `console`, `manage` and
//! `cli`.
//!
//! Not a part of `tenants`, since it is as large as workspaces and products together.

mod account;
mod caller;
mod change;
mod clean_up;
mod created;
mod dto;
mod identities;
mod links;
mod passkeys;
mod password_sign_in;
mod passwords;
mod people;
mod recovery;
mod refusals;
mod rules;
mod sessions;
mod source;
mod states;
mod throttle;
mod tokens;
mod totp;
mod way_in;

use std::sync::Arc;

use crate::kernel::Kernel;
use crate::ledger::Ledger;

pub use account::{WayRef, WaysIn};
pub use change::OperatorChange;
pub use created::CreatedOperator;
pub use identities::{Claims, ClaimsCheck};
pub use links::{NewSetupLink, SetupFor, SetupLink};
pub use password_sign_in::{CodeCheck, PasswordCheck};
pub use sessions::{NewSession, Session};
pub use source::{SignedIn, Source};
pub use totp::TotpSecret;
pub use way_in::WayIn;

use passwords::Passwords;
use refusals::Refusals;
use throttle::Throttle;

/// How errors name an operator.
const OPERATOR: &str = "operator";

/// The people who sign in to the console.
#[derive(Debug)]
pub struct Operators {
    kernel: Arc<Kernel>,
    ledger: Arc<Ledger>,
    passwords: Passwords,
    throttle: Throttle,
    refusals: Refusals,
}

impl Operators {
    pub(crate) fn new(kernel: Arc<Kernel>, ledger: Arc<Ledger>) -> Self {
        let throttle = Throttle::new(Arc::clone(&kernel.clock));
        Self { kernel, ledger, passwords: Passwords::new(), throttle, refusals: Refusals::default() }
    }
}
