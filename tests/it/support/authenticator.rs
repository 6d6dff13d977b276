//! A WebAuthn authenticator for tests: it has one passkey with an Ed25519 key, and answers with the JSON that the scripts of
//! the console send. A test can make it report a wrong counter or origin.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// One passkey.
pub(crate) struct Authenticator {
    key: Ed25519KeyPair,
    id: Vec<u8>,
    handle: Vec<u8>,
    /// The signature counter in the next answer. Each answer raises it by one.
    pub(crate) count: u32,
    /// The origin that the browser reports for the page.
    pub(crate) origin: String,
}

impl Authenticator {
    /// A passkey that is not registered yet, in a browser at `origin`.
    pub(crate) fn new(origin: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let id = digest(&SHA256, key.public_key().as_ref()).as_ref().to_vec();
        Self { key, id, handle: Vec::new(), count: 1, origin: origin.to_owned() }
    }

    /// The credential id of the passkey in base64url, as in URLs and answers.
    pub(crate) fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.id)
    }

    /// The answer of the passkey to the options of a registration.
    pub(crate) fn register(&mut self, options: &Value) -> String {
        let handle = options["user"]["id"].as_str().unwrap();
        self.handle = URL_SAFE_NO_PAD.decode(handle).unwrap();
        // A COSE key (RFC 9053 §7.2): {1: 1, 3: -8, -1: 6, -2: x}.
        let key = [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], self.key.public_key().as_ref()].concat();
        let credential = [&[0; 16][..], &[0, 32], &self.id, &key].concat();
        let data = self.data(options["rp"]["id"].as_str().unwrap(), 0x45, &credential);
        let attestation = [
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".as_slice(),
            &u16::try_from(data.len()).unwrap().to_be_bytes(),
            &data,
        ]
        .concat();
        let client_data = self.client_data("webauthn.create", options);
        self.count += 1;
        let response = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "attestationObject": URL_SAFE_NO_PAD.encode(attestation),
        });
        json!({"type": "public-key", "rawId": self.id(), "response": response}).to_string()
    }

    /// The answer of the passkey to the options of a sign-in.
    pub(crate) fn sign_in(&mut self, options: &Value) -> String {
        let data = self.data(options["rpId"].as_str().unwrap(), 0x05, &[]);
        let client_data = self.client_data("webauthn.get", options);
        let signed = [&data, digest(&SHA256, client_data.as_bytes()).as_ref()].concat();
        let response = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "signature": URL_SAFE_NO_PAD.encode(self.key.sign(&signed)),
            "userHandle": URL_SAFE_NO_PAD.encode(&self.handle),
        });
        self.count += 1;
        json!({"type": "public-key", "rawId": self.id(), "response": response}).to_string()
    }

    /// The authenticator data (WebAuthn §6.1). `flags`: 1 for a person who is present, 4 for one who is verified, 0x40 for a
    /// credential that follows.
    fn data(&self, relying_party: &str, flags: u8, credential: &[u8]) -> Vec<u8> {
        let hash = digest(&SHA256, relying_party.as_bytes());
        [hash.as_ref(), &[flags], &self.count.to_be_bytes(), credential].concat()
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = options["challenge"].as_str().unwrap();
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false}).to_string()
    }
}
