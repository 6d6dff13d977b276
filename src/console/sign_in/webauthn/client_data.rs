//! `clientDataJSON`: what the browser says about the page that asked (WebAuthn level 3, §5.8.1).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::refused::Refused;

/// Which of the two ceremonies an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ceremony {
    Registration,
    SignIn,
}

/// The members that are checked. Browsers add others, at any place (§5.8.1), which are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientData {
    r#type: String,
    pub(super) challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<IgnoredAny>,
}

impl ClientData {
    pub(super) fn read(json: &[u8]) -> Result<Self, Refused> {
        serde_json::from_slice(json).map_err(|_| Refused::ClientData)
    }

    /// Fails unless a page of `origin` asked for this, with this challenge, and was not embedded in another site.
    ///
    /// The origin is compared for equality: a suffix would let `badexample.com` in for `example.com`, and the page of a
    /// sub-domain may be somebody else's.
    pub(super) fn check(&self, ceremony: Ceremony, challenge: &str, origin: &str) -> Result<(), Refused> {
        let expected = match ceremony {
            Ceremony::Registration => "webauthn.create",
            Ceremony::SignIn => "webauthn.get",
        };
        if self.r#type != expected {
            return Err(Refused::Type);
        }
        if self.challenge != challenge {
            return Err(Refused::Challenge);
        }
        if self.origin != origin {
            return Err(Refused::Origin);
        }
        if self.cross_origin == Some(true) || self.top_origin.is_some() {
            return Err(Refused::CrossOrigin);
        }
        Ok(())
    }
}
