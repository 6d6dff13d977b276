//! Every method of `Storage` and `Tx`, on both engines.

mod statements;
