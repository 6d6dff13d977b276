//! `mintmark tokens verify`: whether a token is valid, and what it contains.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use mintmark_verifier::{AccessTokenClaims, Answer, Verifier, VerifyError};
use serde_json::{Value, json};

use crate::cli::http::Transport;
use crate::cli::opened::Opened;
use crate::cli::output::{self, Format};
use crate::cli::refusal::Refusal;
use crate::cli::target::{Address, Connection};
use crate::cli::{Failure, Global};
use crate::kernel::ProblemKind;
use crate::model::clock::to_rfc3339;
use crate::tokens::{InactiveReason, Validity};

/// How many bytes are read: more than any token has.
const TOKEN_LIMIT: u64 = 64 * 1024;

const MEMBERS: &[&str] =
    &["client_id", "workspace_id", "scope", "products", "audience", "issued_at", "expires_at", "jti"];

/// Check whether a token is valid, and show what it contains
///
/// It uses the database, so that a revocation counts at once. With --remote it does what any service does: it verifies the
/// token with the keys and the status list that the server publishes, and needs no MINTMARK_TOKEN. If the token is not
/// valid, it says why and exits with code 1. The token is read from a file or from standard input, never from an argument,
/// which every user of the machine can see.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark tokens verify token.txt
  mintmark tokens verify --product gst < token.txt
  mintmark tokens verify token.txt --remote https://tokens.example.com --json")]
pub(super) struct Verify {
    /// The file that holds the token; - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Require this product; may be repeated
    #[arg(long, value_name = "CODE")]
    product: Vec<String>,
    /// Require this audience
    #[arg(long, value_name = "URI")]
    audience: Option<String>,
}

impl Verify {
    pub(super) async fn run(
        self,
        global: &Global,
        connection: &Connection,
        format: Format,
    ) -> Result<(), Failure> {
        let address = connection.address()?;
        let token = self.read()?;
        let claims = match address {
            Some(address) => from_outside(&address, self.audience.as_deref(), &token).await?,
            None => Opened::with(global, async |opened| from_inside(opened, &token).await).await?,
        };
        if self.audience.as_ref().is_some_and(|audience| !claims.aud.contains(audience)) {
            return Err(invalid(&VerifyError::WrongAudience, &token));
        }
        for product in &self.product {
            claims.require_product(product).map_err(|error| invalid(&error, &token))?;
        }
        print(&claims, format)
    }

    fn read(&self) -> Result<String, Failure> {
        let file = self.file.display();
        let read = || {
            let mut text = String::new();
            if self.file.as_os_str() == "-" {
                if io::stdin().is_terminal() {
                    eprintln!("Paste the token, then press Enter and Ctrl-D:");
                }
                io::stdin().lock().take(TOKEN_LIMIT).read_to_string(&mut text)?;
            } else {
                std::fs::File::open(&self.file)?.take(TOKEN_LIMIT).read_to_string(&mut text)?;
            }
            Ok(text)
        };
        let text: String = read().map_err(|error: io::Error| {
            Failure::Usage(format!(
                "{file}: {error}. Give a file that holds a token, or - for standard input"
            ))
        })?;
        match text.trim() {
            "" => Err(Failure::Usage(format!(
                "there is no token in {file}. Give a file that holds a token, or - for standard input"
            ))),
            token => Ok(token.to_owned()),
        }
    }
}

/// Verifies a token like introspection, with the keys and the records of the database.
async fn from_inside(opened: &Opened, token: &str) -> Result<AccessTokenClaims, Failure> {
    let services = &opened.core.services;
    let confirmed = services.ledger.confirm().await?;
    let claims =
        services.issuer.verify_any_audience(confirmed, token).map_err(|error| invalid(&error, token))?;
    match services.tokens.validity(confirmed, &claims).await? {
        Validity::Active(_) => Ok(claims),
        Validity::Inactive(reason) => {
            let why = match reason {
                InactiveReason::ClientUnknown => "its API client does not exist, or no longer exists",
                InactiveReason::ClientInactive => {
                    "its API client is disabled or has expired, or its workspace is suspended"
                }
                InactiveReason::Revoked => "it was revoked",
                InactiveReason::Expired => "it has expired",
                InactiveReason::GenerationEnded => {
                    "all tokens of its API client were revoked after it was issued"
                }
                InactiveReason::NotRecorded => "it is not recorded here",
            };
            let refusal =
                Refusal::of_kind(ProblemKind::InvalidToken, format!("the token is not valid: {why}"));
            Err(refusal.with("reason", reason.as_str().into()).into())
        }
    }
}

/// Verifies a token like a service, with the keys and the status lists that the server publishes.
async fn from_outside(
    address: &Address,
    audience: Option<&str>,
    token: &str,
) -> Result<AccessTokenClaims, Failure> {
    // A service knows its audience. Without `--audience`, the first audience that the token names is used. If it names none, the
    // token is refused with any audience.
    let of_token = || first_audience(token).unwrap_or_else(|| address.as_str().to_owned());
    let audience = audience.map_or_else(of_token, str::to_owned);
    let verifier = Verifier::builder(address.as_str(), audience)
        .fetch(Transport(address.client()?))
        .allow_never_expiring(true)
        .allow_bound(true)
        .build()
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let outcome = verifier.verify(token).await;
    outcome.map(std::sync::Arc::unwrap_or_clone).map_err(|error| invalid(&error, token))
}

/// The payload of a token, not verified.
fn payload(token: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn first_audience(token: &str) -> Option<String> {
    let claims = payload(token)?;
    let audience = claims.get("aud")?;
    audience.as_str().or_else(|| audience.get(0)?.as_str()).map(str::to_owned)
}

fn invalid(error: &VerifyError, token: &str) -> Failure {
    let detail = match error {
        // The verifier checks the signature before the times, so this `exp` is the one that was signed.
        VerifyError::Expired => match payload(token).and_then(|claims| claims.get("exp")?.as_i64()) {
            Some(exp) => format!("the token expired at {}", to_rfc3339(exp)),
            None => error.to_string(),
        },
        _ => error.to_string(),
    };
    let kind = match error.answer() {
        Answer::Unavailable => ProblemKind::Unavailable,
        _ => ProblemKind::InvalidToken,
    };
    Refusal::of_kind(kind, detail).with("reason", error.code().into()).into()
}

fn print(claims: &AccessTokenClaims, format: Format) -> Result<(), Failure> {
    let ends = claims.exp.filter(|_| !claims.never_expires);
    if !format.json {
        let shown = json!({
            "client_id": claims.client_id,
            "workspace_id": claims.workspace_id,
            "scope": claims.scope,
            "products": claims.products,
            "audience": claims.aud,
            "issued_at": to_rfc3339(claims.iat),
            "expires_at": ends.map(to_rfc3339),
            "jti": claims.jti,
        });
        output::line("the token is valid\n")?;
        format.record(&shown, MEMBERS)?;
        if claims.cnf.is_some() {
            eprintln!(
                "\nThe token is bound to a key: a service must also check the proof that comes with it."
            );
        }
        return Ok(());
    }
    let mut document = json!({ "active": true, "claims": claims });
    if let Some(members) = document.as_object_mut() {
        members.insert("expires_at".to_owned(), ends.map(to_rfc3339).into());
    }
    format.record(&document, &[])
}
