//! The keys that sign the requests to a webhook, as in Standard Webhooks 1.0.0: a secret for `v1` (HMAC-SHA-256) and a key pair
//! for `v1a` (Ed25519). Both sign every request, so that a receiver can verify with either.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::Webhooks;
use crate::kernel::Error;
use crate::model::webhook::Webhook;

const SECRET_LEN: usize = 32;
const SEED_LEN: usize = 32;

/// The secret that verifies `v1` signatures: `whsec_` and 32 random bytes in base64. `Debug` does not print it.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<String>);

impl SigningSecret {
    /// The secret itself, to show once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The two keys of a webhook: the secret, and the seed of the Ed25519 key.
pub(super) struct Keys(Zeroizing<[u8; SECRET_LEN + SEED_LEN]>);

impl Keys {
    /// The keys in these random bytes.
    pub(super) fn of(random: [u8; SECRET_LEN + SEED_LEN]) -> Self {
        Self(Zeroizing::new(random))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn secret(&self) -> &[u8] {
        self.0.get(..SECRET_LEN).unwrap_or_default()
    }

    fn pair(&self) -> Result<Ed25519KeyPair, Error> {
        let seed = self.0.get(SECRET_LEN..).unwrap_or_default();
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::Crypto("a webhook's Ed25519 key cannot be used".to_owned()))
    }

    pub(super) fn signing_secret(&self) -> SigningSecret {
        SigningSecret(Zeroizing::new(format!("whsec_{}", STANDARD.encode(self.secret()))))
    }

    pub(super) fn public_key(&self) -> Result<String, Error> {
        Ok(format!("whpk_{}", STANDARD.encode(self.pair()?.public_key().as_ref())))
    }

    /// The two signatures of `signed`, as a part of `webhook-signature`.
    fn sign(&self, signed: &[u8]) -> Result<String, Error> {
        let v1 = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.secret()), signed);
        let v1a = self.pair()?.sign(signed);
        Ok(format!("v1,{} v1a,{}", STANDARD.encode(v1.as_ref()), STANDARD.encode(v1a.as_ref())))
    }
}

/// The header `webhook-signature` for a body that is sent with this id at this instant, signed by each of `keys`.
fn signature(keys: &[Keys], id: &str, timestamp: i64, body: &str) -> Result<String, Error> {
    let signed = format!("{id}.{timestamp}.{body}");
    let signatures: Result<Vec<String>, Error> =
        keys.iter().map(|keys| keys.sign(signed.as_bytes())).collect();
    Ok(signatures?.join(" "))
}

impl Webhooks {
    /// The header `webhook-signature` of a request to a webhook: signed by its keys, and for a day also by the keys that they
    /// replaced.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn signature(
        &self,
        webhook: &Webhook,
        id: &str,
        timestamp: i64,
        body: &str,
    ) -> Result<String, Error> {
        let webhook_id = webhook.webhook_id.as_str();
        let mut keys = Vec::new();
        for stored in self.kernel.storage.webhook_keys(webhook_id, timestamp).await? {
            let opened = self.kernel.subkeys.open_webhook_keys(webhook_id, &stored.key_id, &stored.sealed)?;
            let bytes = opened.as_slice().try_into();
            keys.push(Keys::of(bytes.map_err(|_| Error::Crypto("a webhook's keys are damaged".to_owned()))?));
        }
        signature(&keys, id, timestamp, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values were made with Python's `hmac` and the package `cryptography`.
    #[test]
    fn both_signatures_are_as_the_specification_says() {
        let keys = Keys::of(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        assert_eq!(keys.signing_secret().expose(), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(keys.public_key().unwrap(), PUBLIC);
        let header = signature(&[keys], "01990000-id", 1_790_000_000, r#"{"type":"x"}"#).unwrap();
        assert_eq!(header, HEADER);
    }

    const PUBLIC: &str = "whpk_Kay64UG8yvCyLhqU000LxzYeUm0L/hLIl5S8kyKWbdc=";
    const HEADER: &str = "v1,iQvaK0ftcRfqA+ZeCendn2fcEV3n4CxFzMzhdF5iGZ4= v1a,v6qWfspFHP7vArhddus6UGAcZPvYdnFUPyNGQCcqFoth2x7MW1RUgiTnuwshzM6t9F4OaMDFAeZ3Ej7KuhBYDw==";
}
