//! `mintmark tokens`: the access tokens of an API client. A token is printed once, when it is created.

use clap::{Args, Subcommand};
use serde_json::json;

use super::opened::{Opened, all_pages};
use super::output::Format;
use super::values::Expiry;
use super::{Failure, Global};
use crate::issuance::NewToken;
use crate::kernel::{Manager, to_json};

const COLUMNS: &[&str] =
    &["jti", "scope", "issued_at", "expires_at", "revoked_at", "last_introspected_at", "issued_by"];
const MEMBERS: &[&str] = &[
    "jti",
    "scope",
    "products",
    "kid",
    "issued_at",
    "expires_at",
    "revoked_at",
    "last_introspected_at",
    "issued_by",
];

/// List, create, show and revoke the access tokens of an API client
///
/// Tokens are recorded and listed if they never expire, if they are valid for longer than tokens.record_above_seconds, if the API
/// client has one at a time (--active-tokens replace), or if they were created here or by an administrator. Others are not
/// recorded; `revoke-all` revokes them too. A revocation takes effect within a second for introspection, and within
/// status_lists.ttl_seconds for services that verify offline.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark tokens list CLIENT_ID
  mintmark tokens create CLIENT_ID --scope gst --token-expiry 600
  mintmark tokens revoke CLIENT_ID JTI
  mintmark tokens revoke-all CLIENT_ID --json")]
pub(super) struct Tokens {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the recorded tokens, newest first
    #[command(after_help = "Example:\n  mintmark tokens list CLIENT_ID --json")]
    List {
        /// The API client
        client_id: String,
    },
    /// Create a token and print it once
    #[command(
        after_help = "Example:\n  mintmark tokens create CLIENT_ID --scope 'e-invoicing gst' --token-expiry 86400"
    )]
    Create {
        /// The API client
        client_id: String,
        /// Scopes, separated by spaces [default: all products of the API client]
        #[arg(long)]
        scope: Option<String>,
        /// Its lifetime in seconds, or never; not longer than the token expiry of the API client, which is the default
        #[arg(long, value_name = "SECONDS|never", allow_negative_numbers = true)]
        token_expiry: Option<Expiry>,
    },
    /// Show the record of a token
    #[command(after_help = "Example:\n  mintmark tokens show CLIENT_ID JTI")]
    Show {
        /// The API client
        client_id: String,
        /// The `jti` of the token, see `mintmark tokens list`
        #[arg(allow_hyphen_values = true)]
        jti: String,
    },
    /// Revoke a token
    #[command(after_help = "Example:\n  mintmark tokens revoke CLIENT_ID JTI")]
    Revoke {
        /// The API client
        client_id: String,
        /// The `jti` of the token, see `mintmark tokens list`
        #[arg(allow_hyphen_values = true)]
        jti: String,
    },
    /// Revoke all tokens of an API client, recorded or not
    #[command(after_help = "Example:\n  mintmark tokens revoke-all CLIENT_ID")]
    RevokeAll {
        /// The API client
        client_id: String,
    },
}

impl Tokens {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        Opened::with(global, async |opened| self.act(opened).await).await
    }

    async fn act(self, opened: &Opened) -> Result<(), Failure> {
        let (services, caller, format) = (&opened.core.services, Manager::command_line(), self.format);
        match self.verb {
            Verb::List { client_id } => {
                let read = async |page| services.tokens.access_tokens(&caller, &client_id, &page).await;
                let records: Vec<_> = all_pages(read).await?.iter().map(to_json).collect();
                format.list(&records, COLUMNS)
            }
            Verb::Create { client_id, scope, token_expiry } => {
                let token_expiry = token_expiry.map(|Expiry(expiry)| expiry);
                let wanted = NewToken { scope, token_expiry, ..NewToken::default() };
                let made = opened.core.services.issuer.generate(&caller, &client_id, &wanted, None).await?;
                format.record(&to_json(&made), &["access_token", "jti", "scope", "expires_in"])?;
                eprintln!("\nStore the token safely: it is not shown again.");
                Ok(())
            }
            Verb::Show { client_id, jti } => format
                .record(&to_json(&services.tokens.access_token(&caller, &client_id, &jti).await?), MEMBERS),
            Verb::Revoke { client_id, jti } => {
                services.tokens.revoke_token(&caller, &client_id, &jti).await?;
                let document = json!({ "client_id": client_id, "jti": jti, "revoked": true });
                format.done(&document, format_args!("access token {jti} revoked"))
            }
            Verb::RevokeAll { client_id } => {
                let revoked = services.tokens.revoke_tokens(&caller, &client_id).await?;
                let document = json!({ "client_id": client_id, "revoked_tokens": revoked });
                format.done(
                    &document,
                    format_args!(
                        "all tokens of the API client {client_id} revoked, {revoked} of them recorded"
                    ),
                )
            }
        }
    }
}
