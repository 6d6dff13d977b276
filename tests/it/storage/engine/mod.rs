//! Opening, transactions, schema and statements of both engines; damage, backup and restoring.

mod backup;
mod damage;
mod opening;
mod schema;
mod statements;
mod transactions;
