//! Sends a delivery to the URL of a webhook: signed as in Standard Webhooks 1.0.0, and under the rules of [`crate::outbound`].
//!
//! A reply of 2xx is a success, any other is a failure: redirects are not followed, and 410 Gone disables the webhook.

use std::sync::Arc;
use std::time::Duration;

use crate::kernel::{Error, Kernel};
use crate::model::clock::{UnixSeconds, from_http_date};
use crate::model::delivery::{Claimed, Outcome, Report};
use crate::model::webhook;
use crate::outbound::{Glance, Outbound, OutboundError, Request};
use crate::webhooks::Webhooks;

/// How long a receiver may take to answer.
const TIME_MAX: Duration = Duration::from_secs(15);
/// How much of a reply is stored, in bytes.
const REPLY_MAX: usize = 1024;

/// Sends webhooks.
#[derive(Debug)]
pub struct Webhook {
    kernel: Arc<Kernel>,
    webhooks: Arc<Webhooks>,
    outbound: Arc<Outbound>,
}

impl Webhook {
    /// Finds webhooks in `webhooks`, and makes requests with `outbound`.
    pub(crate) fn new(kernel: Arc<Kernel>, webhooks: Arc<Webhooks>, outbound: Arc<Outbound>) -> Self {
        Self { kernel, webhooks, outbound }
    }

    /// The webhooks it sends to.
    pub(super) fn webhooks(&self) -> &Arc<Webhooks> {
        &self.webhooks
    }

    /// Makes one attempt. The worker stops it after [`super::ATTEMPT_MAX`].
    pub(super) async fn send(&self, claimed: &Claimed) -> Outcome {
        self.attempt(claimed).await.unwrap_or_else(|error| retry(None, None, error.to_string()))
    }

    async fn attempt(&self, claimed: &Claimed) -> Result<Outcome, Error> {
        let Some(webhook) = self.webhooks.to_send_to(&claimed.recipient).await? else {
            return Ok(dead("the webhook was deleted"));
        };
        if webhook.disabled.is_some() {
            return Ok(dead("the webhook is disabled: enable it, then send this again"));
        }
        let now = self.kernel.clock.now();
        let signature = self.webhooks.signature(&webhook, &claimed.delivery_id, now, &claimed.body).await?;
        let timestamp = now.to_string();
        let request = Request::json(&webhook.url, &claimed.body)
            .header("webhook-id", &claimed.delivery_id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", &signature)
            .within(TIME_MAX)
            .at_most(REPLY_MAX);
        let outcome = match self.outbound.glance(request).await {
            Ok(glance) => judged(&glance, now),
            // Trying again does not help before the URL or the settings change.
            Err(error @ (OutboundError::NotAllowed | OutboundError::Url(_))) => dead(&error.to_string()),
            Err(error) => retry(None, None, error.to_string()),
        };
        self.note(&webhook, &outcome).await?;
        Ok(outcome)
    }

    async fn note(&self, webhook: &webhook::Webhook, outcome: &Outcome) -> Result<(), Error> {
        match outcome {
            // `Finishing` notes a success in the transaction that stores the outcome. If noting it here failed, a
            // delivery that the receiver accepted would be sent again.
            Outcome::Sent(_) => Ok(()),
            Outcome::Dead(Report { status: Some(410), .. }) => self.webhooks.disable_as_gone(webhook).await,
            Outcome::Dead(_) | Outcome::Retry { .. } => self.webhooks.note_failure(webhook).await,
        }
    }
}

/// What a reply means.
fn judged(glance: &Glance, now: UnixSeconds) -> Outcome {
    let status = glance.status;
    let reply = glance.beginning.as_ref().map(|bytes| text_of(bytes));
    let report = |error: Option<String>| Report { status: Some(status), error, reply: reply.clone() };
    match status {
        200..=299 => Outcome::Sent(report(None)),
        410 => {
            Outcome::Dead(report(Some("the receiver is gone (410), so the webhook is disabled".to_owned())))
        }
        300..=399 => {
            let error = format!("the receiver answered {status}: a redirect is not followed, change the URL");
            Outcome::Retry { retry_after: None, report: report(Some(error)) }
        }
        _ => {
            let retry_after = glance.retry_after.as_deref().and_then(|text| seconds(text, now));
            Outcome::Retry { retry_after, report: report(Some(format!("the receiver answered {status}"))) }
        }
    }
}

/// `Retry-After` (RFC 9110 §10.2.3) in seconds from `now`.
fn seconds(text: &str, now: UnixSeconds) -> Option<i64> {
    let text = text.trim();
    let delay = text.parse().ok().filter(|seconds| *seconds >= 0);
    delay.or_else(|| from_http_date(text).map(|at| (at - now).max(0)))
}

/// The reply as text that can be stored and shown: without NUL, which PostgreSQL does not store.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

fn dead(error: &str) -> Outcome {
    Outcome::Dead(Report { error: Some(error.to_owned()), ..Report::default() })
}

fn retry(retry_after: Option<i64>, status: Option<u16>, error: String) -> Outcome {
    Outcome::Retry { retry_after, report: Report { status, error: Some(error), reply: None } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(status: u16, retry_after: Option<&str>) -> Glance {
        let beginning = Some(b"a\0\xff".to_vec());
        Glance { status, retry_after: retry_after.map(str::to_owned), beginning }
    }

    #[test]
    fn only_2xx_is_a_success() {
        for status in [200, 201, 202, 204, 299] {
            let Outcome::Sent(report) = judged(&glance(status, None), 0) else { panic!("{status}") };
            assert_eq!((report.status, report.reply.as_deref()), (Some(status), Some("a\u{fffd}\u{fffd}")));
        }
        for status in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(judged(&glance(status, None), 0), Outcome::Retry { .. }), "{status}");
        }
        assert!(matches!(judged(&glance(410, None), 0), Outcome::Dead(_)));
    }

    #[test]
    fn the_receiver_says_when_to_try_again() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7.
        const NOW: i64 = 784_111_777;
        for (text, asked) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            for status in [429, 500, 502, 503, 504] {
                let Outcome::Retry { retry_after, .. } = judged(&glance(status, Some(text)), NOW) else {
                    panic!("{status}")
                };
                assert_eq!(retry_after, asked, "{status} {text}");
            }
        }
    }
}
