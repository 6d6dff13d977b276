//! The pages after sign-in, except those of the account: handlers that read the request, call the services, and fill the view
//! of a template.

pub(crate) mod audit;
pub(crate) mod audit_csv;
pub(crate) mod audit_verify;
pub(crate) mod client_edit;
pub(crate) mod client_end;
pub(crate) mod client_history;
pub(crate) mod client_list;
pub(crate) mod client_live;
pub(crate) mod client_new;
pub(crate) mod client_overview;
pub(crate) mod client_secrets;
pub(crate) mod client_tokens;
pub(crate) mod client_usage;
mod client_usage_chart;
pub(crate) mod deliveries;
pub(crate) mod help;
pub(crate) mod home;
pub(crate) mod never_expiring;
pub(crate) mod operator_end;
pub(crate) mod operator_link;
pub(crate) mod operators;
pub(crate) mod products;
pub(crate) mod reveals;
pub(crate) mod signing_keys;
pub(crate) mod webhook;
pub(crate) mod webhook_secret;
pub(crate) mod webhooks;
pub(crate) mod workspace_end;
pub(crate) mod workspaces;
