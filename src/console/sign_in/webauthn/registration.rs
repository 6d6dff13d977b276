//! A passkey that was just made (WebAuthn level 3, §7.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::RelyingParty;
use super::authenticator_data::AuthenticatorData;
use super::cbor::Cbor;
use super::client_data::{Ceremony, ClientData};
use super::refused::Refused;

/// The answer to [`super::registration_options`], read and not yet checked.
#[derive(Debug)]
pub(in crate::console) struct Registration {
    id: Vec<u8>,
    client_data: ClientData,
    attestation: Vec<u8>,
}

/// A passkey that was checked, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct NewPasskey {
    /// The id that the authenticator gave it.
    pub(in crate::console) credential_id: Vec<u8>,
    /// Its public key, in COSE.
    pub(in crate::console) public_key: Vec<u8>,
    /// The COSE number of the algorithm.
    pub(in crate::console) alg: i64,
    /// The signature counter; 0 if the authenticator does not count.
    pub(in crate::console) sign_count: u32,
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
    attestation_object: String,
}

impl Registration {
    /// Reads the JSON of a `PublicKeyCredential`.
    ///
    /// # Errors
    /// [`Refused::Json`] or [`Refused::ClientData`] if it cannot be read.
    pub(in crate::console) fn read(json: &str) -> Result<Self, Refused> {
        let json: Json = serde_json::from_str(json).map_err(|_| Refused::Json)?;
        if json.r#type != "public-key" {
            return Err(Refused::Json);
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Json);
        Ok(Self {
            id: decode(&json.raw_id)?,
            client_data: ClientData::read(&decode(&json.response.client_data_json)?)?,
            attestation: decode(&json.response.attestation_object)?,
        })
    }

    /// The challenge that the answer names.
    pub(in crate::console) fn challenge(&self) -> &str {
        &self.client_data.challenge
    }

    /// The passkey, if a verified user made it for this site in answer to this challenge.
    ///
    /// # Errors
    /// The first check that fails.
    pub(in crate::console) fn verify(
        &self,
        site: &RelyingParty,
        challenge: &str,
    ) -> Result<NewPasskey, Refused> {
        self.client_data.check(Ceremony::Registration, challenge, &site.origin)?;
        let data = AuthenticatorData::read(authenticator_data_of(&self.attestation)?)?;
        data.check(&site.id)?;
        let credential = data.credential.ok_or(Refused::AuthenticatorData)?;
        if credential.id != self.id {
            return Err(Refused::AuthenticatorData);
        }
        Ok(NewPasskey {
            credential_id: credential.id.to_vec(),
            public_key: credential.cose.to_vec(),
            alg: credential.public_key.alg(),
            sign_count: data.sign_count,
        })
    }
}

/// The member `authData` of an attestation object. `fmt` and `attStmt` must be there and are not checked: an attestation
/// statement that was not requested adds no trust and does no harm. (A browser passes on one that an authenticator signed with
/// the new key itself.)
fn authenticator_data_of(attestation: &[u8]) -> Result<&[u8], Refused> {
    let mut reader = Cbor::of(attestation);
    let (mut data, mut has_format, mut has_statement) = (None, false, false);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "authData" if data.is_none() => data = Some(reader.bytes()?),
            "fmt" if !has_format => {
                reader.text()?;
                has_format = true;
            }
            "attStmt" if !has_statement => {
                reader.clone().map()?;
                reader.skip()?;
                has_statement = true;
            }
            _ => return Err(Refused::Cbor),
        }
    }
    match data {
        Some(data) if has_format && has_statement && reader.rest().is_empty() => Ok(data),
        _ => Err(Refused::Cbor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attestation_object_has_each_of_its_three_members_once() {
        let (fmt, statement, data) = (b"\x63fmt\x64none", b"\x67attStmt\xa0", b"\x68authData\x41\x07");
        let object = |members: [&[u8]; 3]| [&b"\xa3"[..], &members.concat()].concat();
        assert_eq!(authenticator_data_of(&object([fmt, statement, data])), Ok(&[7][..]));
        for members in [[&fmt[..], fmt, data], [statement, statement, data], [fmt, data, data]] {
            assert_eq!(authenticator_data_of(&object(members)), Err(Refused::Cbor));
        }
    }
}
