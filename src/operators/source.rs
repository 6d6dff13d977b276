//! Where a request to the console comes from, and the proof that somebody signed in.

use std::net::IpAddr;

use crate::kernel::Caller;
use crate::model::audit::Actor;
use crate::model::operator::Way;
use crate::model::reach::Reach;

/// Where a request comes from, for the audit trail and the list of sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The source address.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` of the browser.
    pub user_agent: Option<String>,
    /// As in `X-Request-Id`.
    pub request_id: Option<String>,
}

impl Source {
    /// How the audit trail names an operator who acts from here.
    pub fn actor(&self, operator_id: &str) -> Actor {
        Actor {
            name: format!("operator:{operator_id}"),
            request_id: self.request_id.clone(),
            source_ip: self.ip.map(|ip| ip.to_canonical().to_string()),
        }
    }

    /// The operator as the author of a change of their own account, which needs no permission.
    pub(super) fn acting(&self, operator_id: &str) -> Caller {
        Caller {
            reach: Reach::Platform,
            permissions: Vec::new(),
            actor: self.actor(operator_id),
            client_id: None,
        }
    }
}

/// The proof that an operator signed in, which is needed to begin a session. Only the checks of `operators` create it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    operator_id: String,
    way: Way,
}

impl SignedIn {
    pub(super) fn new(operator_id: impl Into<String>, way: Way) -> Self {
        Self { operator_id: operator_id.into(), way }
    }

    /// The operator who signed in.
    pub fn operator_id(&self) -> &str {
        &self.operator_id
    }

    /// How they signed in.
    pub fn way(&self) -> Way {
        self.way
    }
}
