//! What the operator sees: logs, one line and one id for each request, metrics, health. Never a secret.
//!
//! Nothing here is global but the log, which a process has one of; two services in one process do not meet.

pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod request_id;
