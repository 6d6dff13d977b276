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

/// The claims of a token that is valid and includes the product. Keep one verifier per process: it caches the issuer's keys.
async fn verify(
    verifier: &Verifier,
    token: &str,
    product: &str,
) -> Result<Arc<AccessTokenClaims>, VerifyError> {
    let claims = verifier.verify(token).await?;
    claims.require_product(product)?;
    Ok(claims)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let [issuer, audience, token] = ["ISSUER", "AUDIENCE", "TOKEN"].map(env::var);
    let product = env::var("PRODUCT").unwrap_or_else(|_| "gst".to_owned());
    let verifier = Verifier::builder(issuer?, audience?)
        .allow_never_expiring(env::var("ALLOW_NEVER_EXPIRING").is_ok_and(|allow| allow == "1"))
        .build()?;
    match verify(&verifier, &token?, &product).await {
        Ok(claims) => {
            let AccessTokenClaims { client_id, workspace_id, products, .. } = &*claims;
            println!("client {client_id} of workspace {workspace_id}, products: {}", products.join(" "));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("refused: {error} (answer {})", error.answer().status());
            Ok(ExitCode::FAILURE)
        }
    }
}
