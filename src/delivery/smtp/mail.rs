//! The bytes of a mail (RFC 5322) and its envelope.

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Address;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Built, MultiPart, MultiPartKind, SinglePart};

use super::connection::Server;
use crate::config::Mailbox as Configured;
use crate::delivery::messages::Message;
use crate::model::delivery::Claimed;

/// The header that says that no person wrote the mail, so that no program answers (RFC 3834 §5).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// A mail, ready to be sent.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

impl Envelope {
    /// A mail with the content of `message`. Its `Message-ID` is the same at each attempt. Mails about one record have the same
    /// `References`, so that mail programs show them as one thread.
    ///
    /// # Errors
    /// Why it can never be sent.
    pub(super) fn new(
        claimed: &Claimed,
        message: &Message,
        server: &Server,
        domain: &str,
    ) -> Result<Self, String> {
        let bad = |error: &dyn std::fmt::Display| {
            format!("{:?} is not an email address: {error}", claimed.recipient)
        };
        let to: Address = claimed.recipient.parse().map_err(|error| bad(&error))?;
        let from = mailbox("smtp.from", &server.settings.from)?;
        let at = u64::try_from(claimed.queued_at).unwrap_or_default();
        let mut builder = Built::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(message.subject.clone())
            .date(UNIX_EPOCH + Duration::from_secs(at))
            .message_id(Some(format!("<{}@{domain}>", claimed.delivery_id)))
            .references(format!("<{}@{domain}>", claimed.about_id))
            .header(AutoSubmitted);
        if let Some(reply_to) = &server.settings.reply_to {
            builder = builder.reply_to(mailbox("smtp.reply_to", reply_to)?);
        }
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("mintmark-{}", claimed.delivery_id))
            .singlepart(SinglePart::plain(message.text.clone()))
            .singlepart(SinglePart::html(message.html.clone()));
        let built = builder.multipart(parts);
        let built = built.map_err(|error| format!("the mail cannot be written: {error}"))?;
        Ok(Self { from: from.email, to, bytes: built.formatted() })
    }
}

/// The address that the setting `name` has.
fn mailbox(name: &str, configured: &Configured) -> Result<Mailbox, String> {
    let address = configured.address.parse().map_err(|error| format!("{name}: {error}"))?;
    Ok(Mailbox::new(configured.name.clone(), address))
}
