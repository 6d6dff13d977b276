//! One signing key: generated or imported, parsed, named and sealed (RFC 7518 §3, RFC 8037).
//!
//! For the use cases that create keys, and for [`super::ring`], which holds the parsed ones.

use std::fmt;

use zeroize::Zeroizing;

use super::import::{ImportFault, pkcs8_from_pem};
use super::jwk::PublicJwk;
use super::private_key::{MAX_SIGNATURE_LEN, PrivateKey, SignError, generate};
use crate::model::clock::UnixSeconds;
use crate::model::key::{Alg, Phase, SigningKey, UseFor};
use crate::vault::random::{Random, RandomUnavailable};
use crate::vault::root::Subkeys;
use crate::vault::seal::SealError;

/// The private and the public key, parsed, ready to sign. `Debug` prints only the `kid` and the algorithm.
pub struct KeyPair {
    alg: Alg,
    private: PrivateKey,
    public: PublicJwk,
}

impl KeyPair {
    /// Parses a PKCS#8 private key (DER) for use with `alg`.
    pub fn from_pkcs8(alg: Alg, pkcs8: &[u8]) -> Result<Self, ImportFault> {
        let private = PrivateKey::parse(alg, pkcs8).map_err(|why| ImportFault::Rejected(why.0, alg))?;
        let numbers =
            private.public().ok_or_else(|| ImportFault::Rejected("InvalidPublicKey".to_owned(), alg))?;
        Ok(Self { alg, private, public: PublicJwk::new(alg, &numbers) })
    }

    /// Opens the private key of a stored key. `Ok(None)` if the stored key has no private key any more.
    pub fn open(stored: &SigningKey, subkeys: &Subkeys) -> Result<Option<Self>, KeyError> {
        let Some(sealed) = &stored.sealed_private else { return Ok(None) };
        let unusable = |why| KeyError::Unusable { kid: stored.kid.clone(), why };
        let pkcs8 =
            subkeys.open_private_key(&stored.kid, stored.alg, sealed).map_err(|e| unusable(e.to_string()))?;
        let pair = Self::from_pkcs8(stored.alg, &pkcs8).map_err(|fault| {
            let why = match fault {
                ImportFault::Rejected(why, _) => why,
                other => other.to_string(),
            };
            unusable(format!(
                "this build does not accept its private key ({why}): run the build that stored it"
            ))
        })?;
        if pair.kid() != stored.kid {
            return Err(unusable(
                "its private key has another kid: restore its row from a backup".to_owned(),
            ));
        }
        Ok(Some(pair))
    }

    /// The algorithm it signs with.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Its name: the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// The public key.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// Signs `message` into `out` and returns the part of `out` that is the signature, in JOSE form.
    pub fn sign<'a>(
        &self,
        message: &[u8],
        out: &'a mut [u8; MAX_SIGNATURE_LEN],
    ) -> Result<&'a [u8], SignError> {
        self.private.sign(message, out)
    }

    /// How many bytes its signatures have.
    pub fn signature_len(&self) -> usize {
        self.private.signature_len()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("kid", &self.kid()).field("alg", &self.alg).finish_non_exhaustive()
    }
}

/// A key that is not stored yet, with the bytes to seal, which are wiped when it is dropped.
pub struct NewKey {
    pair: KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl NewKey {
    /// Generates a key. [`KeyError::NotGenerated`] for RSA without the feature `aws-lc`.
    pub fn generate(alg: Alg) -> Result<Self, KeyError> {
        let pkcs8 = generate(alg).map_err(|_| RandomUnavailable)?.ok_or(KeyError::NotGenerated(alg))?;
        let pair = KeyPair::from_pkcs8(alg, &pkcs8).map_err(KeyError::Import)?;
        Ok(Self { pair, pkcs8 })
    }

    /// Reads a key to import, as PKCS#8 PEM.
    pub fn import(alg: Alg, private_key_pem: &str) -> Result<Self, KeyError> {
        let pkcs8 = pkcs8_from_pem(alg, private_key_pem).map_err(KeyError::Import)?;
        let pair = KeyPair::from_pkcs8(alg, &pkcs8).map_err(KeyError::Import)?;
        Ok(Self { pair, pkcs8 })
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        self.pair.kid()
    }

    /// Its algorithm.
    pub fn alg(&self) -> Alg {
        self.pair.alg
    }

    /// The parsed key, for use without storing it.
    pub fn into_pair(self) -> KeyPair {
        self.pair
    }

    /// The record to store, with the private key sealed.
    pub fn into_record(
        self,
        use_for: UseFor,
        phase: Phase,
        created_at: UnixSeconds,
        activates_at: UnixSeconds,
        subkeys: &Subkeys,
        random: &Random,
    ) -> Result<SigningKey, SealError> {
        let sealed = subkeys.seal_private_key(random, self.pair.kid(), self.pair.alg, &self.pkcs8)?;
        Ok(SigningKey {
            kid: self.pair.public.kid,
            alg: self.pair.alg,
            use_for,
            phase,
            public_jwk: self.pair.public.json,
            sealed_private: Some(sealed),
            created_at,
            activates_at,
            retired_at: None,
            version: 1,
        })
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}

/// Why there is no key, or no usable one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `private_key_pem` cannot be imported.
    #[error("private_key_pem {0}")]
    Import(ImportFault),
    /// This build cannot generate keys of this algorithm. The message completes "`private_key_pem` …".
    #[error(
        "is required for {0}, since this build of Mintmark cannot generate {0} keys: import one that \
         `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem` generates, or build with \
         `--features aws-lc`"
    )]
    NotGenerated(Alg),
    /// A stored key cannot be used.
    #[error("signing key {kid} cannot be used: {why}")]
    Unusable {
        /// The key.
        kid: String,
        /// What is wrong with it.
        why: String,
    },
    /// There are no random bytes to generate a key.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
