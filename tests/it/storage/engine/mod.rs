//! Opening, inspection, transactions, schema, statements, time limits and free space; damage, backups and restoring.

mod backup;
mod damage;
mod inspect;
mod limits;
mod opening;
mod schema;
mod space;
mod statements;
mod transactions;
