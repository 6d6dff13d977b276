//! Mintmark issues the access tokens that machines use to call a company's products.
//!
//! How a token is issued: [`routes`] names the function of `POST /oauth2/token`, [`oauth::token::post`]. The function takes
//! an [`oauth::authenticate::Authenticated`] client, which [`clients`] caches in memory, and asks [`issuance`] for a token:
//! `grant` decides scope, audience and lifetime, a key of [`signing::ring`] signs the token, and [`tokens`] writes it to the
//! database before the reply if it has to be recorded.
//!
//! The modules, roughly from the outermost to the innermost (`tests/it/architecture.rs` lists which one uses which):
//! - doors, where requests and commands arrive: [`oauth`] (the protocol), [`manage`] (JSON `/v1`), [`console`] (HTML),
//!   [`cli`] (commands), [`docs`] (the description of the API);
//! - `http` has what the doors share;
//! - [`services`] puts together what the doors call: [`issuance`], [`signing`], [`tokens`], [`tenants`] (workspaces and
//!   products), [`operators`] (the people who sign in to the console), [`webhooks`] (where events are sent), [`clients`],
//!   [`usage`] (counts, refused requests), [`ledger`] (audit, deliveries, saved replies, change counter), over a small
//!   [`kernel`];
//! - [`reminders`] reminds contacts before an API client, a secret or a token expires;
//! - [`delivery`] sends what is queued: mails and webhooks;
//! - [`outbound`] sends requests to other hosts;
//! - [`vault`] encrypts secrets at rest;
//! - [`storage`] has all SQL, for SQLite and PostgreSQL;
//! - [`model`] has the types that the modules share, such as clients, tokens and keys.
//!
//! [`app`] opens the database and serves the doors, with certificates from `tls`; [`config`] reads the settings, [`jobs`] does
//! the background work, [`telemetry`] has logs and metrics.

pub mod app;
pub mod cli;
pub mod clients;
pub mod config;
pub mod console;
pub mod delivery;
pub mod docs;
mod http;
pub mod issuance;
pub mod jobs;
pub mod kernel;
pub mod ledger;
pub mod manage;
pub mod model;
pub mod oauth;
pub mod operators;
pub mod outbound;
pub mod reminders;
pub mod routes;
pub mod services;
pub mod signing;
pub mod storage;
pub mod telemetry;
pub mod tenants;
mod tls;
pub mod tokens;
pub mod usage;
pub mod vault;
pub mod webhooks;
