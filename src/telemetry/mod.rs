//! For operators: logs, one line and one id for each request, metrics, health. Never a secret.
//!
//! Only the log is global to the process; two apps in one process share nothing else.

pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod request_id;
