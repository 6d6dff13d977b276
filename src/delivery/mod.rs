//! Sends what is queued: mails by SMTP, webhooks by HTTP. For the background work of a serving process.
//!
//! A delivery is claimed for the time of a lease, sent while no transaction is open, and then marked. A process that dies in
//! between leaves a lease that ends, and the delivery is sent again under the same id: at least once, and at most one
//! duplicate for each that was being sent.

mod finishing;
mod hosts;
pub mod messages;
mod schedule;
mod smtp;
mod webhook;
mod worker;

pub use schedule::{ATTEMPT_MAX, LEASE_SECONDS, delay};
pub use smtp::{BadCertificates, Smtp};
pub use webhook::Webhook;
pub use worker::Worker;
