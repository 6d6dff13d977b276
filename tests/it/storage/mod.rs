//! Tests of every method of `Storage` and `Tx`, nearly all on both engines. The folders are those of `src/storage`.

mod clients;
mod deliveries;
mod engine;
mod ledger;
mod operators;
mod reminders;
mod samples;
mod signing;
mod tenants;
mod tokens;
mod usage;
mod webhooks;
