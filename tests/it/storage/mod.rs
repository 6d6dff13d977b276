//! Every method of `Storage` and `Tx`, on both engines: one file for each noun, and a few for what they share.

mod access_tokens;
mod api_clients;
mod audit;
mod backup;
mod changes;
mod credentials;
mod damage;
mod idempotency;
mod opening;
mod outbox;
mod products;
mod restore;
mod samples;
mod schema;
mod secrets;
mod signing_keys;
mod state;
mod statements;
mod status_lists;
mod token_endings;
mod token_lists;
mod transactions;
mod workspaces;
