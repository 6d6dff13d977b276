//! The protocol door, over HTTP.

mod expect;
mod smoke;
mod token_authentication;
mod token_limits;
mod token_request;
mod token_success;
