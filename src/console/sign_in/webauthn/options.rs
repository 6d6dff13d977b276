//! What a browser is asked: the options of `navigator.credentials`, as JSON (WebAuthn level 3, §5.1.8 and §5.1.9).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::RelyingParty;
use super::cose::ALGORITHMS;

/// How long the browser waits for its user.
const TIMEOUT_MILLISECONDS: u32 = 300_000;

/// The account that a passkey is made for.
#[derive(Debug, Clone, Copy)]
pub(in crate::console) struct Account<'a> {
    /// What the authenticator gives back at a sign-in: up to 64 bytes, nothing personal.
    pub(in crate::console) handle: &'a [u8],
    /// The email address.
    pub(in crate::console) email: &'a str,
    /// The name of the person.
    pub(in crate::console) name: &'a str,
}

/// Options to register a discoverable passkey whose user is verified. `existing` are the ids of the passkeys that the account
/// has, so that one authenticator is not registered twice.
pub(in crate::console) fn registration_options(
    site: &RelyingParty,
    account: &Account,
    challenge: &str,
    existing: &[Vec<u8>],
) -> Value {
    let existing: Vec<Value> =
        existing.iter().map(|id| json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(id) })).collect();
    json!({
        "rp": { "id": site.id, "name": "Mintmark" },
        "user": {
            "id": URL_SAFE_NO_PAD.encode(account.handle),
            "name": account.email,
            "displayName": account.name,
        },
        "challenge": challenge,
        "pubKeyCredParams": ALGORITHMS.map(|alg| json!({ "type": "public-key", "alg": alg })),
        "timeout": TIMEOUT_MILLISECONDS,
        "excludeCredentials": existing,
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": true,
            "userVerification": "required",
        },
        "attestation": "none",
    })
}

/// Options to sign in with any passkey of this site, whatever the account.
pub(in crate::console) fn sign_in_options(site: &RelyingParty, challenge: &str) -> Value {
    json!({
        "challenge": challenge,
        "rpId": site.id,
        "timeout": TIMEOUT_MILLISECONDS,
        "allowCredentials": [],
        "userVerification": "required",
    })
}
