//! `authenticatorData`: what the authenticator says about itself and its user (WebAuthn level 3, §6.1).

use ring::digest::{SHA256, digest};

use super::cbor::Cbor;
use super::cose::PublicKey;
use super::refused::Refused;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// The most bytes of a credential id (§4, "Credential ID").
const LONGEST_ID: usize = 1023;

/// The parts of `authenticatorData`, read and not yet checked.
#[derive(Debug)]
pub(super) struct AuthenticatorData<'a> {
    relying_party_hash: &'a [u8; 32],
    flags: u8,
    pub(super) sign_count: u32,
    pub(super) credential: Option<Credential<'a>>,
}

/// A credential that was just made.
#[derive(Debug)]
pub(super) struct Credential<'a> {
    pub(super) id: &'a [u8],
    pub(super) public_key: PublicKey<'a>,
    /// The key in COSE, byte for byte as it came, to be stored.
    pub(super) cose: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        let too_short = Refused::AuthenticatorData;
        let (relying_party_hash, rest) = bytes.split_first_chunk::<32>().ok_or(too_short)?;
        let (&flags, rest) = rest.split_first().ok_or(too_short)?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or(too_short)?;
        let mut credential = None;
        if flags & HAS_CREDENTIAL != 0 {
            let (read, after) = Credential::read(rest)?;
            credential = Some(read);
            rest = after;
        }
        if flags & HAS_EXTENSIONS != 0 {
            let mut extensions = Cbor::of(rest);
            extensions.clone().map()?;
            extensions.skip()?;
            rest = extensions.rest();
        }
        if !rest.is_empty() || (flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0) {
            return Err(Refused::AuthenticatorData);
        }
        Ok(Self { relying_party_hash, flags, sign_count: u32::from_be_bytes(*count), credential })
    }

    /// Fails unless the data is for this host, and the user was present and verified.
    pub(super) fn check(&self, relying_party_id: &str) -> Result<(), Refused> {
        if self.relying_party_hash != digest(&SHA256, relying_party_id.as_bytes()).as_ref() {
            return Err(Refused::RelyingParty);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(Refused::UserPresence);
        }
        if self.flags & USER_VERIFIED == 0 {
            return Err(Refused::UserVerification);
        }
        Ok(())
    }
}

impl<'a> Credential<'a> {
    /// A credential, and what follows it.
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        let too_short = Refused::AuthenticatorData;
        // The AAGUID, which names the model of the authenticator. Without attestation it proves nothing.
        let (_, rest) = bytes.split_first_chunk::<16>().ok_or(too_short)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(too_short)?;
        let (id, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(too_short)?;
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err(Refused::AuthenticatorData);
        }
        let mut key = Cbor::of(rest);
        let cose = key.skip()?;
        Ok((Self { id, public_key: PublicKey::read(cose)?, cose }, key.rest()))
    }
}
