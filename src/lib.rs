//! Mintmark issues the access tokens that machines use to call a company's products.
//!
//! How a token is issued: [`routes`] names the function of `POST /oauth2/token`, [`oauth::token::post`]. It takes an
//! [`oauth::authenticate::Authenticated`] client, which [`clients`] has in memory, and asks [`issuance`] for a token:
//! `grant` decides scope, audience and lifetime, a key of [`signing::ring`] signs, and a token that is to be recorded is
//! written by [`tokens`] before the reply.
//!
//! The rooms, from the outside in; each uses only those below it:
//! - doors: [`oauth`] (the protocol), [`manage`] (JSON `/v1`), [`console`] (HTML), [`cli`] (commands), [`docs`]
//!   (the description of the API);
//! - `http` holds what the doors share;
//! - [`services`] puts together what the doors call: [`issuance`], [`signing`], [`tokens`], [`tenants`],
//!   [`operators`] (who signs in to the console), [`webhooks`] (who gets what happens), [`clients`], [`usage`] (counts,
//!   refused requests), [`ledger`] (audit, deliveries, saved replies, change counter), over a small [`kernel`];
//! - [`reminders`] tells contacts before something ends;
//! - [`delivery`] sends what is queued: mails and webhooks;
//! - [`outbound`] makes the requests of the service to other hosts;
//! - [`vault`] keeps secrets at rest;
//! - [`storage`] holds the only SQL, on SQLite and PostgreSQL;
//! - [`model`] holds the nouns.
//!
//! [`app`] opens and serves all of it, with certificates from `tls`; [`config`] reads the settings, [`jobs`] runs what is
//! due, [`telemetry`] has logs and metrics.

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
