//! The request that a thread is working on. Every log line written meanwhile carries the id of the request and, once it has
//! authenticated, its client.
//!
//! A span would do the same, but this needs only one allocation per request and no entry in a registry.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use crate::model::inline_id::ClientId;
use crate::telemetry::request_id::RequestId;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Current>>> = const { RefCell::new(None) };
}

/// What is known about a request while it is handled.
#[derive(Debug)]
pub(in crate::telemetry) struct Current {
    pub(super) id: RequestId,
    pub(super) peer: Option<IpAddr>,
    client_id: OnceCell<ClientId>,
}

impl Current {
    pub(super) fn new(id: RequestId, peer: Option<IpAddr>) -> Rc<Self> {
        Rc::new(Self { id, peer, client_id: OnceCell::new() })
    }

    /// Notes which client authenticated. The first one counts.
    pub(super) fn authenticated(&self, client_id: ClientId) {
        self.client_id.get_or_init(|| client_id);
    }

    /// Runs one step of this request.
    pub(super) fn enter<T>(self: &Rc<Self>, step: impl FnOnce() -> T) -> T {
        let _left = Left(CURRENT.replace(Some(Rc::clone(self))));
        step()
    }

    /// Shows each field that a log line of this request carries.
    pub(in crate::telemetry) fn each_field(
        mut show: impl FnMut(&'static str, &str) -> fmt::Result,
    ) -> fmt::Result {
        let Some(current) = CURRENT.with_borrow(Clone::clone) else { return Ok(()) };
        show("request_id", current.id.as_str())?;
        match current.client_id.get() {
            Some(client_id) => show("client_id", client_id),
            None => Ok(()),
        }
    }
}

/// Puts back what was current before, also when a step panics.
struct Left(Option<Rc<Current>>);

impl Drop for Left {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
