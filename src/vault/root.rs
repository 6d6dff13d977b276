//! The root key of a database, and a subkey for each purpose.
//!
//! For the start of the service, and for the code that seals or authenticates values, such as signing keys, client secrets,
//! cursors and saved replies. The root key is sealed under the master key, so that with a new master key only one row has to be
//! sealed again. Subkeys are derived from the root key by HKDF-SHA-256, each with its own `info`, so that a value that was made
//! for one purpose is useless for another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use zeroize::Zeroizing;

use super::master::MasterKey;
use super::random::{Random, RandomUnavailable};
use super::seal::{SealError, Sealer, derive, joined};
use crate::model::key::Alg;

/// The key inside the database from which all subkeys are derived. Wiped when dropped; `Debug` does not print it.
#[derive(Clone)]
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// A new root key. Each database gets one, once.
    pub fn generate(random: &Random) -> Result<Self, RandomUnavailable> {
        Ok(Self(Zeroizing::new(random.fill()?)))
    }

    /// The root key sealed under `master`, as the database keeps it.
    pub fn seal(&self, master: &MasterKey, random: &Random) -> Result<Vec<u8>, SealError> {
        Self::sealer(master).seal(random, &[b"root key"], self.0.as_slice())
    }

    /// The root key of a database. [`SealError::OtherKey`] if another master key sealed it.
    pub fn unseal(master: &MasterKey, sealed: &[u8]) -> Result<Self, SealError> {
        let bytes = Self::sealer(master).open(&[b"root key"], sealed)?;
        let root: [u8; 32] = bytes.as_slice().try_into().map_err(|_| SealError::Damaged)?;
        Ok(Self(Zeroizing::new(root)))
    }

    /// The keys for each purpose.
    pub fn subkeys(&self) -> Subkeys {
        let root = self.0.as_slice();
        let mac = |purpose| hmac::Key::new(hmac::HMAC_SHA256, derive::<32>(root, purpose).as_slice());
        Subkeys {
            signing_keys: Sealer::new(root, "signing keys"),
            audit_keys: Sealer::new(root, "audit keys"),
            replies: Sealer::new(root, "idempotency replies"),
            authenticators: Sealer::new(root, "operators' authenticator apps"),
            states: Sealer::new(root, "steps of a sign-in"),
            webhook_keys: Sealer::new(root, "keys of webhooks"),
            requests: mac("idempotency requests"),
            pepper: mac("client secrets"),
            cursors: mac("cursors"),
            csrf: mac("csrf"),
            enrolments: mac("authenticator apps to be set up"),
        }
    }

    fn sealer(master: &MasterKey) -> Sealer {
        Sealer::new(master.bytes(), "root key")
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(…)")
    }
}

/// The keys for each purpose. Made once at start and shared. `Debug` prints none of them.
pub struct Subkeys {
    signing_keys: Sealer,
    audit_keys: Sealer,
    replies: Sealer,
    authenticators: Sealer,
    states: Sealer,
    webhook_keys: Sealer,
    requests: hmac::Key,
    pepper: hmac::Key,
    cursors: hmac::Key,
    csrf: hmac::Key,
    enrolments: hmac::Key,
}

impl Subkeys {
    /// Seals a private signing key (PKCS#8), bound to its `kid` and algorithm.
    pub fn seal_private_key(
        &self,
        random: &Random,
        kid: &str,
        alg: Alg,
        pkcs8: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.signing_keys.seal(random, &[kid.as_bytes(), alg.as_str().as_bytes()], pkcs8)
    }

    /// Opens what [`Subkeys::seal_private_key`] sealed for the same `kid` and algorithm.
    pub fn open_private_key(
        &self,
        kid: &str,
        alg: Alg,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.signing_keys.open(&[kid.as_bytes(), alg.as_str().as_bytes()], sealed)
    }

    /// Seals the private key of an audit tree (an Ed25519 seed), bound to the name of the tree.
    pub fn seal_audit_key(&self, random: &Random, origin: &str, seed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.audit_keys.seal(random, &[b"audit", origin.as_bytes()], seed)
    }

    /// Opens what [`Subkeys::seal_audit_key`] sealed for the same tree.
    pub fn open_audit_key(&self, origin: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.audit_keys.open(&[b"audit", origin.as_bytes()], sealed)
    }

    /// The form in which a client secret is stored: HMAC-SHA-256 under the pepper, which is the subkey for client secrets.
    pub fn secret_mac(&self, plain: &str) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.pepper, plain.as_bytes()).as_ref());
        mac
    }

    /// Whether `plain` is the secret stored as `stored`. Compares in constant time.
    pub fn is_secret(&self, plain: &str, stored: &[u8]) -> bool {
        hmac::verify(&self.pepper, plain.as_bytes(), stored).is_ok()
    }

    /// Seals the stored reply of an idempotent request, bound to what `context` names (caller, method, path, key).
    pub fn seal_reply(&self, random: &Random, context: &[&[u8]], reply: &[u8]) -> Result<Vec<u8>, SealError> {
        self.replies.seal(random, context, reply)
    }

    /// Opens what [`Subkeys::seal_reply`] sealed with the same `context`.
    pub fn open_reply(&self, context: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.replies.open(context, sealed)
    }

    /// Seals the secret of an operator's authenticator app, bound to that operator.
    pub fn seal_authenticator(
        &self,
        random: &Random,
        operator_id: &str,
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.authenticators.seal(random, &[operator_id.as_bytes()], secret)
    }

    /// Opens what [`Subkeys::seal_authenticator`] sealed for the same operator.
    pub fn open_authenticator(
        &self,
        operator_id: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.authenticators.open(&[operator_id.as_bytes()], sealed)
    }

    /// Seals the keys that sign the messages to a webhook, bound to the webhook and to the id of the keys.
    pub fn seal_webhook_keys(
        &self,
        random: &Random,
        webhook_id: &str,
        key_id: &str,
        keys: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.webhook_keys.seal(random, &[webhook_id.as_bytes(), key_id.as_bytes()], keys)
    }

    /// Opens what [`Subkeys::seal_webhook_keys`] sealed for the same webhook and id.
    pub fn open_webhook_keys(
        &self,
        webhook_id: &str,
        key_id: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.webhook_keys.open(&[webhook_id.as_bytes(), key_id.as_bytes()], sealed)
    }

    /// Seals what one step of a sign-in keeps for the next step, bound to its purpose and to the hash of the name
    /// by which that step finds it.
    pub fn seal_state(
        &self,
        random: &Random,
        purpose: &str,
        hash: &[u8],
        state: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.states.seal(random, &[purpose.as_bytes(), hash], state)
    }

    /// Opens what [`Subkeys::seal_state`] sealed with the same purpose and hash.
    pub fn open_state(
        &self,
        purpose: &str,
        hash: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.states.open(&[purpose.as_bytes(), hash], sealed)
    }

    /// A MAC by which an idempotent request is recognised. A secret in the request cannot be guessed from the MAC.
    pub fn request_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.requests, parts)
    }

    /// The MAC of a cursor, over `parts`: what the cursor is bound to (list, filters, caller, position).
    pub fn cursor_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.cursors, parts)
    }

    /// Whether `tag` is the MAC of a cursor over `parts`. Compares in constant time.
    pub fn is_cursor_mac(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        hmac::verify(&self.cursors, &joined(parts), tag).is_ok()
    }

    /// The MAC of a form of the console, over `parts`: what the form is bound to (a session, a purpose).
    pub fn csrf_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.csrf, parts)
    }

    /// Whether `tag` is the MAC of a form over `parts`. Compares in constant time.
    pub fn is_csrf_mac(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        hmac::verify(&self.csrf, &joined(parts), tag).is_ok()
    }

    /// A MAC from which the console makes the key for an authenticator app, over `parts`: what the key is bound to (a session,
    /// or a setup link and a browser).
    pub fn enrolment_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.enrolments, parts)
    }

    /// A strong entity tag (RFC 9110 §8.8.3), quotes included, the same on every replica for the same bytes.
    pub fn etag(&self, body: &[u8]) -> String {
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(self.request_mac(&[b"etag", body])))
    }
}

impl fmt::Debug for Subkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subkeys(…)")
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hmac::sign(key, &joined(parts)).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (Random, MasterKey, RootKey) {
        let random = Random::new();
        let root = RootKey(Zeroizing::new([7; 32]));
        (random, master("10"), root)
    }

    fn master(last: &str) -> MasterKey {
        MasterKey::parse(&format!("{}{last}", "0f".repeat(31))).unwrap()
    }

    #[test]
    fn the_root_key_opens_under_its_own_master_key_only() {
        let (random, master, root) = keys();
        let sealed = root.seal(&master, &random).unwrap();
        assert_eq!(*RootKey::unseal(&master, &sealed).unwrap().0, *root.0);
        assert!(!sealed.windows(8).any(|window| window == [7; 8]));
        let other = self::master("11");
        assert_eq!(RootKey::unseal(&other, &sealed).unwrap_err(), SealError::OtherKey);
    }

    #[test]
    fn rewrapping_changes_no_subkey() {
        let (random, master, root) = keys();
        let mac = root.subkeys().secret_mac("mms_x");
        let other = self::master("11");
        let opened = RootKey::unseal(&master, &root.seal(&master, &random).unwrap()).unwrap();
        let rewrapped = RootKey::unseal(&other, &opened.seal(&other, &random).unwrap()).unwrap();
        assert_eq!(rewrapped.subkeys().secret_mac("mms_x"), mac);
    }

    #[test]
    fn a_private_key_opens_for_its_own_kid_and_algorithm_only() {
        let (random, _, root) = keys();
        let subkeys = root.subkeys();
        let sealed = subkeys.seal_private_key(&random, "kid-1", Alg::RS256, b"pkcs8").unwrap();
        assert_eq!(subkeys.open_private_key("kid-1", Alg::RS256, &sealed).unwrap().as_slice(), b"pkcs8");
        assert_eq!(subkeys.open_private_key("kid-2", Alg::RS256, &sealed), Err(SealError::Damaged));
        assert_eq!(subkeys.open_private_key("kid-1", Alg::PS256, &sealed), Err(SealError::Damaged));
        assert_eq!(subkeys.open_reply(&[b"kid-1", b"RS256"], &sealed), Err(SealError::OtherKey));
        let elsewhere = RootKey(Zeroizing::new([8; 32])).subkeys();
        assert_eq!(elsewhere.open_private_key("kid-1", Alg::RS256, &sealed), Err(SealError::OtherKey));
    }

    #[test]
    fn a_secret_is_recognised_by_its_mac_under_this_pepper() {
        let (_, _, root) = keys();
        let subkeys = root.subkeys();
        let stored = subkeys.secret_mac("mms_right");
        assert!(subkeys.is_secret("mms_right", &stored));
        assert!(!subkeys.is_secret("mms_wrong", &stored));
        assert!(!subkeys.is_secret("mms_right", &stored[..31]));
        assert!(!subkeys.is_secret("mms_right", &[]));
        assert!(!RootKey(Zeroizing::new([8; 32])).subkeys().is_secret("mms_right", &stored));
    }

    #[test]
    fn macs_tell_purposes_and_parts_apart() {
        let (_, _, root) = keys();
        let subkeys = root.subkeys();
        let tag = subkeys.cursor_mac(&[b"list", b"after"]);
        assert!(subkeys.is_cursor_mac(&[b"list", b"after"], &tag));
        assert!(!subkeys.is_cursor_mac(&[b"lista", b"fter"], &tag));
        assert!(!subkeys.is_cursor_mac(&[b"listafter"], &tag));
        assert_ne!(subkeys.request_mac(&[b"list", b"after"]), tag);
    }

    #[test]
    fn replies_open_in_their_own_context_only() {
        let (random, _, root) = keys();
        let subkeys = root.subkeys();
        let sealed = subkeys.seal_reply(&random, &[b"caller", b"POST", b"key"], b"{}").unwrap();
        assert_eq!(subkeys.open_reply(&[b"caller", b"POST", b"key"], &sealed).unwrap().as_slice(), b"{}");
        assert_eq!(subkeys.open_reply(&[b"other", b"POST", b"key"], &sealed), Err(SealError::Damaged));
    }

    #[test]
    fn an_audit_key_opens_for_its_own_tree_only() {
        let (random, _, root) = keys();
        let subkeys = root.subkeys();
        let sealed = subkeys.seal_audit_key(&random, "a.example/audit", b"seed").unwrap();
        assert_eq!(subkeys.open_audit_key("a.example/audit", &sealed).unwrap().as_slice(), b"seed");
        assert_eq!(subkeys.open_audit_key("a.example/audit/2", &sealed), Err(SealError::Damaged));
        assert_eq!(subkeys.open_private_key("a", Alg::EdDSA, &sealed), Err(SealError::OtherKey));
    }

    #[test]
    fn an_authenticator_opens_for_its_operator_only_and_a_sign_in_step_for_its_purpose_only() {
        let (random, _, root) = keys();
        let subkeys = root.subkeys();
        let sealed = subkeys.seal_authenticator(&random, "op-1", b"secret").unwrap();
        assert_eq!(subkeys.open_authenticator("op-1", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(subkeys.open_authenticator("op-2", &sealed), Err(SealError::Damaged));
        let state = subkeys.seal_state(&random, "oidc", b"hash", b"state").unwrap();
        assert_eq!(subkeys.open_state("oidc", b"hash", &state).unwrap().as_slice(), b"state");
        assert_eq!(subkeys.open_state("totp", b"hash", &state), Err(SealError::Damaged));
        assert_eq!(subkeys.open_authenticator("op-1", &state), Err(SealError::OtherKey));
    }

    #[test]
    fn debug_prints_no_key() {
        let (_, _, root) = keys();
        assert_eq!(format!("{root:?} {:?}", root.subkeys()), "RootKey(…) Subkeys(…)");
    }
}
