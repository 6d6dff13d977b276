//! API clients, their secrets, and what the credential cache reads.

mod api_clients;
mod credentials;
mod lists;
mod secrets;
