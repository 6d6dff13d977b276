//! What the people who run the service see of it: the log, with a line and an id for each request, metrics, and health. None of
//! these has a secret.
//!
//! Only the log is global to the process; two apps in one process share nothing else.

pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod request_id;
