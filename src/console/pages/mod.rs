//! The pages, one file each: handlers that read the request, call one use case, and fill the view of a template.

pub(crate) mod client_edit;
pub(crate) mod client_end;
pub(crate) mod client_history;
pub(crate) mod client_list;
pub(crate) mod client_new;
pub(crate) mod client_overview;
pub(crate) mod client_secrets;
pub(crate) mod client_tokens;
pub(crate) mod home;
pub(crate) mod reveals;
