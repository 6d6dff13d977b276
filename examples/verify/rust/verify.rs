//! Verifies a Mintmark access token with `mintmark-verifier`: `cargo add mintmark-verifier`,
//! `cargo add tokio --features macros,rt`, then
//!
//! ```sh
//! ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… cargo run
//! ```
//!
//! The token must include PRODUCT (default gst). `ALLOW_NEVER_EXPIRING=1` accepts tokens that never expire.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use mintmark_verifier::{AccessTokenClaims, Verifier, VerifyError};

/// The claims of a token that is valid and includes the product. Keep one verifier per process: it caches the issuer's keys and
/// status lists.
async fn verify(
    verifier: &Verifier,
    token: &str,
    product: &str,
) -> Result<Arc<AccessTokenClaims>, VerifyError> {
    let claims = verifier.verify(token).await?;
    claims.require_product(product)?;
    Ok(claims)
}

/// A setting from the environment, or an error that says what to set.
fn setting(name: &str, what: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: it is {what}"))
}

async fn run() -> Result<String, String> {
    let issuer = setting("ISSUER", "the address of Mintmark, such as https://tokens.example.com")?;
    let audience = setting("AUDIENCE", "the audience of your product, such as https://api.example.com")?;
    let token = setting("TOKEN", "the access token to verify")?;
    let product = env::var("PRODUCT").unwrap_or_else(|_| "gst".to_owned());
    let verifier = Verifier::builder(issuer, audience)
        .allow_never_expiring(env::var("ALLOW_NEVER_EXPIRING").is_ok_and(|allow| allow == "1"))
        .build()
        .map_err(|error| error.to_string())?;
    let claims = verify(&verifier, &token, &product)
        .await
        .map_err(|error| format!("refused: {error} (answer {})", error.answer().status()))?;
    let AccessTokenClaims { client_id, workspace_id, products, .. } = &*claims;
    Ok(format!("client {client_id} of workspace {workspace_id}, products: {}", products.join(" ")))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(line) => println!("{line}"),
        Err(line) => {
            eprintln!("{line}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
