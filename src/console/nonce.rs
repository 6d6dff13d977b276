//! The nonce of a form that creates something: 128 random bits, bound by a MAC to the session and to a [`UseCase`]. The reply
//! is saved under the nonce, so that the form creates one thing, however often it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::door::Door;
use super::session::SignedIn;
use super::stop::Stop;
use crate::kernel::Error;

/// What a form creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UseCase {
    /// An API client with its first secret.
    CreateClient,
    /// One more secret.
    AddSecret,
    /// An access token.
    GenerateToken,
    /// Nothing: the outcome of a test, which is kept for a while.
    Test,
    /// An operator with their setup link.
    InviteOperator,
    /// A new setup link for an operator.
    SetupLink,
    /// A webhook with its keys.
    CreateWebhook,
    /// New keys of a webhook.
    ReplaceWebhookKeys,
}

impl UseCase {
    const ALL: [Self; 8] = [
        Self::CreateClient,
        Self::AddSecret,
        Self::GenerateToken,
        Self::Test,
        Self::InviteOperator,
        Self::SetupLink,
        Self::CreateWebhook,
        Self::ReplaceWebhookKeys,
    ];

    /// The name under which replies are saved.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::CreateClient => "create-client",
            Self::AddSecret => "add-secret",
            Self::GenerateToken => "generate-token",
            Self::Test => "test",
            Self::InviteOperator => "invite-operator",
            Self::SetupLink => "setup-link",
            Self::CreateWebhook => "create-webhook",
            Self::ReplaceWebhookKeys => "replace-webhook-keys",
        }
    }

    /// The letter that a nonce begins with.
    fn letter(self) -> char {
        match self {
            Self::CreateClient => 'c',
            Self::AddSecret => 's',
            Self::GenerateToken => 't',
            Self::Test => 'p',
            Self::InviteOperator => 'o',
            Self::SetupLink => 'l',
            Self::CreateWebhook => 'w',
            Self::ReplaceWebhookKeys => 'k',
        }
    }
}

/// The nonce of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce {
    pub(super) use_case: UseCase,
    text: String,
}

/// The length of the random part, in bytes.
const RANDOM: usize = 16;

impl Nonce {
    /// A new nonce for this session.
    ///
    /// # Errors
    /// 503 without random numbers.
    pub(super) fn new(signed_in: &SignedIn, use_case: UseCase) -> Result<Self, Stop> {
        let door = &signed_in.door;
        let random = door.random.fill::<RANDOM>().map_err(Error::from)?;
        let session_id = signed_in.session.session_id.as_bytes();
        let tag = door.services.subkeys().csrf_mac(&parts(session_id, use_case, &random));
        let bytes = [random.as_slice(), &tag].concat();
        Ok(Self { use_case, text: format!("{}{}", use_case.letter(), URL_SAFE_NO_PAD.encode(bytes)) })
    }

    /// The nonce that a request names, if it was made for this session.
    pub(super) fn read(signed_in: &SignedIn, text: &str) -> Option<Self> {
        Self::check(&signed_in.door, &signed_in.session.session_id, text)
    }

    fn check(door: &Door, session_id: &str, text: &str) -> Option<Self> {
        let use_case = UseCase::ALL.into_iter().find(|use_case| text.starts_with(use_case.letter()))?;
        let bytes = URL_SAFE_NO_PAD.decode(text.get(1..)?).ok()?;
        let (random, tag) = bytes.split_at_checked(RANDOM)?;
        let parts = parts(session_id.as_bytes(), use_case, random);
        door.services.subkeys().is_csrf_mac(&parts, tag).then(|| Self { use_case, text: text.to_owned() })
    }

    /// The text in forms and addresses.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn parts<'a>(session_id: &'a [u8], use_case: UseCase, random: &'a [u8]) -> [&'a [u8]; 4] {
    [b"nonce", session_id, use_case.as_str().as_bytes(), random]
}
