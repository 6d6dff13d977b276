//! What the tests share, such as a database for each test on either engine, an app that uses it, a browser, a mail server, and
//! functions for tests of concurrent transactions.

mod app;
mod authenticator;
mod browser;
mod contract;
mod database;
mod keys;
mod mail_server;
mod old_audit;
mod operators;
mod outage;
mod postgres;
mod seeded;
mod session;
mod statements;
mod tls;
mod waiting;
mod wire;

pub(crate) use app::{Administrator, Credentials, MANAGEMENT_APART, START, TestApp};
pub(crate) use authenticator::Authenticator;
pub(crate) use browser::{Browser, HtmlForm, Page};
pub(crate) use contract::{CONTRACT, Operation, counted};
pub(crate) use database::{Engine, TestDatabase, on_both_engines};
pub(crate) use keys::{openssl, rsa_private_key};
pub(crate) use mail_server::{Answer, Heard, MailServer};
pub(crate) use seeded::Random;
pub(crate) use session::Session;
pub(crate) use statements::Statements;
pub(crate) use tls::{Pair, tls_app};
pub(crate) use waiting::{ended, outcome_after, until};
pub(crate) use wire::{Reply, Wire};
