//! Sends what is queued: mails by SMTP, webhooks by HTTP. For the background work of a serving process.
//!
//! A process claims a delivery for the time of a lease, sends it while no transaction is open, and then stores the outcome. If
//! the process dies in between, the lease ends and the delivery is sent again under the same id. So a crash loses no
//! delivery, and causes at most one duplicate of each that was being sent.

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
