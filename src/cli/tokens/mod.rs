//! `mintmark tokens`: the access tokens of an API client. A token is printed once, when it is created.

mod verify;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::clients::named;
use super::confirm::Confirm;
use super::output::Format;
use super::target::{Connection, HowMany, List, OnToken, Target, TokenList, TokenStatus, UseCase};
use super::values::{Before, Members, TokenEnd};
use super::{Failure, Global};
use verify::Verify;

const COLUMNS: &[&str] =
    &["jti", "scope", "issued_at", "expires_at", "revoked_at", "last_introspected_at", "issued_by"];
/// The columns of a list over all API clients.
const COLUMNS_OF_ALL: &[&str] = &["client_id", "jti", "scope", "issued_at", "expires_at", "issued_by"];
const MEMBERS: &[&str] = &[
    "jti",
    "client_id",
    "scope",
    "products",
    "kid",
    "issued_at",
    "expires_at",
    "revoked_at",
    "last_introspected_at",
    "issued_by",
];

/// List, create, show, verify and revoke the access tokens of an API client
///
/// Tokens are recorded and listed if they never expire, if they are valid for longer than tokens.record_above_seconds, if
/// --active-tokens of the API client is `replace` or a number, or if they were created by this command or an administrator.
/// Others are not recorded; `revoke-all` revokes them too. A revocation takes effect within a second for introspection, and
/// within status_lists.ttl_seconds for services that verify offline and check status lists.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark tokens list CLIENT_ID
  mintmark tokens create CLIENT_ID --scope gst --token-expiry 10m
  mintmark tokens create CLIENT_ID --token-expiry 2027-01-31
  mintmark tokens verify token.txt --product gst
  mintmark tokens revoke CLIENT_ID JTI
  mintmark tokens revoke-all CLIENT_ID --json"
)]
pub(super) struct Tokens {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    OnRecords(OnRecords),
    Verify(Verify),
}

#[derive(Debug, Subcommand)]
enum OnRecords {
    /// List the recorded tokens of an API client, newest first, or the valid ones of all API clients
    #[command(after_help = "\
Examples:
  mintmark tokens list CLIENT_ID --json
  mintmark tokens list --never-expires true
  mintmark tokens list --expires-before 7d")]
    List {
        /// The API client [default: all]
        client_id: Option<String>,
        /// Only those that expire before this date, or before this duration from now, like 7d
        #[arg(long, value_name = "DATE")]
        expires_before: Option<Before>,
        /// true: only those that never expire; false: only those that expire
        #[arg(long, value_name = "true|false")]
        never_expires: Option<bool>,
        /// Only those with this status [default: all of the given API client, otherwise live]
        #[arg(long)]
        status: Option<TokenStatus>,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create a token and print it once
    #[command(
        after_help = "Example:\n  mintmark tokens create CLIENT_ID --scope 'e-invoicing gst' --token-expiry 1d"
    )]
    Create {
        /// The API client
        client_id: String,
        /// Scopes, separated by spaces [default: all that are granted to the API client, permissions too]
        #[arg(long)]
        scope: Option<String>,
        /// When it expires: `never`, seconds, a duration like 1h or 30d, a date like 2027-01-31 (00:00 UTC), or an instant; at
        /// most the token expiry of the API client, which is the default
        #[arg(long, value_name = "never|DURATION|DATE", allow_negative_numbers = true)]
        token_expiry: Option<TokenEnd>,
    },
    /// Show the record of a token
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark tokens show CLIENT_ID JTI")]
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
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Revoke all tokens of an API client, recorded or not
    #[command(after_help = "Example:\n  mintmark tokens revoke-all CLIENT_ID")]
    RevokeAll {
        /// The API client
        client_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

impl Tokens {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        match verb {
            Verb::Verify(verify) => verify.run(global, &connection, format).await,
            Verb::OnRecords(verb) => {
                Target::with(global, &connection, async |target| act(verb, target, format).await).await
            }
        }
    }
}

async fn act(verb: OnRecords, target: &Target<'_>, format: Format) -> Result<(), Failure> {
    match verb {
        OnRecords::List { client_id, expires_before, never_expires, status, how_many } => {
            let columns = if client_id.is_some() { COLUMNS } else { COLUMNS_OF_ALL };
            let expires_before = expires_before.map(|Before(at)| at);
            let list = List::Tokens(TokenList { client_id, expires_before, never_expires, status });
            target.print(&list, how_many, format, columns).await
        }
        OnRecords::Create { client_id, scope, token_expiry } => {
            let members = Members::default().with("scope", scope).with("token_expiry", token_expiry);
            let body = members.into_body();
            let made = target.ask(UseCase::Token(OnToken::Create { client_id, body })).await?;
            format.record(&made, &["access_token", "jti", "scope", "expires_in"])?;
            let length = made.get("access_token").and_then(Value::as_str).map_or(0, str::len);
            eprintln!("\nStore the token safely: it is not shown again. It has {length} characters.");
            Ok(())
        }
        OnRecords::Show { client_id, jti } => {
            let record = target.ask(UseCase::Token(OnToken::Show { client_id, jti })).await?;
            format.record(&record, MEMBERS)
        }
        OnRecords::Revoke { client_id, jti, confirm } => {
            let which = named(target, confirm, &client_id).await?;
            confirm.ask(format_args!("Revoke the token {jti} of {which}"))?;
            let document = json!({ "client_id": client_id, "jti": jti, "revoked": true });
            let sentence = format!("access token {jti} revoked");
            target.ask(UseCase::Token(OnToken::Revoke { client_id, jti })).await?;
            format.done(&document, sentence)
        }
        OnRecords::RevokeAll { client_id, confirm } => {
            let which = named(target, confirm, &client_id).await?;
            confirm.ask(format_args!("Revoke all tokens of {which}"))?;
            let all = UseCase::Token(OnToken::RevokeAll { client_id: client_id.clone() });
            let revoked = target.ask(all).await?;
            let mut document = json!({ "client_id": client_id, "revoked": true });
            let mut sentence = format!("all tokens of the API client {client_id} revoked");
            // A server of an earlier version does not say how many recorded tokens it revoked.
            if let Some(count) = revoked.as_u64() {
                document = json!({ "client_id": client_id, "revoked_tokens": count });
                sentence = format!("{sentence}, {count} of them recorded");
            }
            format.done(&document, sentence)
        }
    }
}
