//! A sign-in with a passkey (WebAuthn level 3, §7.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use super::RelyingParty;
use super::authenticator_data::AuthenticatorData;
use super::client_data::{Ceremony, ClientData};
use super::cose::PublicKey;
use super::refused::Refused;

/// The answer to [`super::sign_in_options`], read and not yet checked.
#[derive(Debug)]
pub(in crate::console) struct SignIn {
    id: Vec<u8>,
    client_data: ClientData,
    /// SHA-256 of `clientDataJSON` as it came. It is a part of what the authenticator signs.
    client_data_hash: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Vec<u8>,
}

/// What is stored of the passkey that an answer names.
#[derive(Debug, Clone, Copy)]
pub(in crate::console) struct StoredKey<'a> {
    /// The public key, in COSE.
    pub(in crate::console) public_key: &'a [u8],
    /// The counter of the last sign-in, or of the registration.
    pub(in crate::console) sign_count: u32,
    /// The handle of the account that it belongs to.
    pub(in crate::console) handle: &'a [u8],
}

/// `PublicKeyCredential.toJSON()`; other members are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    r#type: String,
    raw_id: String,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

impl SignIn {
    /// Reads the JSON of a `PublicKeyCredential`.
    ///
    /// # Errors
    /// [`Refused::Json`] or [`Refused::ClientData`] if it cannot be read, and [`Refused::UserHandle`] if it has no user handle:
    /// only discoverable passkeys are registered, and those always send one.
    pub(in crate::console) fn read(json: &str) -> Result<Self, Refused> {
        let json: Json = serde_json::from_str(json).map_err(|_| Refused::Json)?;
        if json.r#type != "public-key" {
            return Err(Refused::Json);
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Json);
        let client_data_json = decode(&json.response.client_data_json)?;
        Ok(Self {
            id: decode(&json.raw_id)?,
            client_data: ClientData::read(&client_data_json)?,
            client_data_hash: digest(&SHA256, &client_data_json).as_ref().to_vec(),
            authenticator_data: decode(&json.response.authenticator_data)?,
            signature: decode(&json.response.signature)?,
            user_handle: decode(json.response.user_handle.as_deref().ok_or(Refused::UserHandle)?)?,
        })
    }

    /// The challenge that the answer names.
    pub(in crate::console) fn challenge(&self) -> &str {
        &self.client_data.challenge
    }

    /// The id of the passkey that the answer names.
    pub(in crate::console) fn credential_id(&self) -> &[u8] {
        &self.id
    }

    /// The new value of the counter, if a verified user answered this challenge for this site with this passkey.
    ///
    /// # Errors
    /// The first check that fails.
    pub(in crate::console) fn verify(
        &self,
        site: &RelyingParty,
        challenge: &str,
        stored: &StoredKey,
    ) -> Result<u32, Refused> {
        self.client_data.check(Ceremony::SignIn, challenge, &site.origin)?;
        if self.user_handle != stored.handle {
            return Err(Refused::UserHandle);
        }
        let data = AuthenticatorData::read(&self.authenticator_data)?;
        data.check(&site.id)?;
        let signed = [self.authenticator_data.as_slice(), &self.client_data_hash].concat();
        PublicKey::read(stored.public_key)?.verify(&signed, &self.signature)?;
        // Many authenticators do not count; one that does never repeats a number.
        if stored.sign_count > 0 && data.sign_count <= stored.sign_count {
            return Err(Refused::Counter);
        }
        Ok(data.sign_count)
    }
}
