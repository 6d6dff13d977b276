//! The protocol door, over HTTP.

mod canary;
mod expect;
mod introspection;
mod introspection_signed;
mod jwks;
mod listed;
mod metadata;
mod operations;
mod outage;
mod presenting;
mod revocation;
mod status_freshness;
mod status_lists;
mod tls;
mod token_addresses;
mod token_authentication;
mod token_claims;
mod token_death;
mod token_fuzz;
mod token_groups;
mod token_lifetime;
mod token_limits;
mod token_records;
mod token_request;
mod token_success;
mod verifying;
