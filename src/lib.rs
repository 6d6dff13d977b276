//! Mintmark issues the access tokens that machines use to call a company's products.
//!
//! How a token comes to be: [`routes`] names the function of `POST /oauth2/token`, [`oauth::token::post`]. It takes an
//! [`oauth::authenticate::Authenticated`] client, which [`registry`] knows from memory, and asks [`issuance`] for a
//! token: `grant` decides scope, audience and lifetime, a key of [`keys::ring`] signs, and a token that lives long is
//! recorded by [`storage`] before it leaves.
//!
//! The rooms, from the outside in; each uses only those after it:
//! - doors: [`oauth`] (the protocol), [`manage`] (JSON `/v1`), [`cli`] (commands), [`docs`] (the API's own description);
//! - cores: [`issuance`], [`keys`], [`registry`] (one use case, one function, one transaction);
//! - [`storage`], the only SQL, on SQLite and PostgreSQL;
//! - [`model`], the nouns.
//!
//! [`app`] puts them together, [`config`] says how, [`jobs`] does what is due, [`telemetry`] tells what happens.

pub mod app;
pub mod cli;
pub mod config;
pub mod docs;
pub mod issuance;
pub mod jobs;
pub mod keys;
pub mod manage;
pub mod model;
pub mod oauth;
pub mod registry;
pub mod routes;
pub mod storage;
pub mod telemetry;
mod tls;
