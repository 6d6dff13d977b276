//! Opening, transactions, schema and statements of both engines; damage, backup and restoring.

mod backup;
mod damage;
mod inspect;
mod limits;
mod opening;
mod schema;
mod space;
mod statements;
mod transactions;
