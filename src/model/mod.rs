//! The types that the other modules share: workspaces, products, clients, secrets, tokens, keys, operators, audit events,
//! mails, deliveries, webhooks, usage, and smaller ones such as ids, texts and time.
//!
//! Data and rules, without random numbers, SQL or HTTP. Only `clock` reads the clock of the machine.

pub mod audit;
pub mod audit_entry;
pub mod client;
pub mod clock;
pub mod delivery;
pub(crate) mod description;
pub mod expiry;
pub mod field_errors;
pub mod grant;
pub mod histogram;
pub mod ids;
pub mod inline_id;
pub mod key;
pub mod mail;
pub mod member;
pub(crate) mod moment;
pub(crate) mod networks;
pub mod operator;
pub mod page;
pub(crate) mod postgres_url;
pub mod product;
pub mod proof;
pub mod reach;
pub mod refusal;
pub mod reminder;
pub mod scope;
pub mod secret;
pub mod slot_lease;
pub mod status;
pub(crate) mod text;
pub mod token;
pub mod usage;
pub mod webhook;
pub mod workspace;
