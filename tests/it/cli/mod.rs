//! The command line, through the program itself.

mod audit;
mod backup;
mod bootstrap;
mod check;
mod clients;
mod confirm;
mod damage;
mod healthcheck;
mod keys;
mod kills;
mod process;
mod products;
mod quickstart;
mod refusals;
mod remote;
mod restore;
mod rewrap;
mod secrecy;
mod serve;
mod signals;
mod tokens;
mod usage;
mod verify;
mod workspaces;
