//! Why an answer of an authenticator is refused. The reasons are for the log: a page shows one sentence for all of them, and
//! the audit trail tells only a few apart.

use thiserror::Error;

/// Why a registration or a sign-in with a passkey is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::console) enum Refused {
    /// The answer is not the JSON of a `PublicKeyCredential`.
    #[error("the answer is not a credential in JSON")]
    Json,
    /// `clientDataJSON` is not a JSON object with the members of WebAuthn.
    #[error("clientDataJSON cannot be read")]
    ClientData,
    /// A registration where a sign-in is asked for, or the other way round.
    #[error("the type of clientDataJSON is not the expected one")]
    Type,
    /// The challenge is not the one that was sent for this, or it is used or too old.
    #[error("the challenge is not one that was sent, or it was used or is too old")]
    Challenge,
    /// The page was of another origin.
    #[error("the origin is not that of this console")]
    Origin,
    /// The page was embedded in a page of another origin.
    #[error("the page was embedded in one of another origin")]
    CrossOrigin,
    /// Something is not CBOR as authenticators write it.
    #[error("CBOR cannot be read")]
    Cbor,
    /// `authenticatorData` is too short, too long, not what its flags say, or not of the credential that the answer names.
    #[error("the data of the authenticator cannot be read, or is not of this credential")]
    AuthenticatorData,
    /// The credential is for another host.
    #[error("the relying party is not this console")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("the authenticator does not say that someone was present")]
    UserPresence,
    /// The authenticator did not ask for a PIN, a finger or a face.
    #[error("the authenticator does not say that it verified its user")]
    UserVerification,
    /// The public key is of a kind that was not asked for, or malformed.
    #[error("the public key is not one that can be used")]
    PublicKey,
    /// The signature is not by the key of this credential.
    #[error("the signature does not match")]
    Signature,
    /// The counter did not rise: a copy of the authenticator may be in use.
    #[error("the counter did not rise since the last sign-in: the passkey may have been copied")]
    Counter,
    /// No operator has this passkey.
    #[error("the passkey is unknown")]
    Unknown,
    /// The passkey belongs to another account, or the answer has no user handle.
    #[error("the passkey belongs to another account, or the answer names no account")]
    UserHandle,
}
