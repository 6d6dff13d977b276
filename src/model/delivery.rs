//! A delivery: what is sent to one recipient about an event, or about several of one kind, by mail or as a webhook, and the
//! results of its attempts.

use super::clock::UnixSeconds;
use super::mail::MailKind;

/// How a delivery is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// By mail.
    Mail,
    /// As a request to the URL of a webhook.
    Webhook,
}

impl Channel {
    /// Both channels.
    pub const ALL: [Self; 2] = [Self::Mail, Self::Webhook];

    /// The name in storage and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }

    /// The channel with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }
}

/// The `host` of every mail, for the cap on requests to one host: all mails go to one server.
pub const MAIL_HOST: &str = "smtp";

/// What is stored as the reply to a mail that was only logged.
pub const LOGGED: &str = "no mail server is set (smtp.url): subject and recipient were written to the log";

/// A delivery to be queued in the transaction of the change it reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// UUIDv7. The same at each attempt: the `Message-ID` of a mail, the `webhook-id` of a webhook.
    pub delivery_id: String,
    /// How it is sent.
    pub channel: Channel,
    /// The type of the event, as on the wire, or `summary`.
    pub kind: String,
    /// A mail address (empty: the contacts of the client), or the id of a webhook.
    pub recipient: String,
    /// The host that must not get too many requests at once: [`MAIL_HOST`], or host and port of the URL.
    pub host: String,
    /// The workspace whose administrators see it; `None` if only those of the platform do.
    pub workspace_id: Option<String>,
    /// What it is about: the id of a client, of an operator or of another record, the URI of a status list, or the name of an
    /// audit tree.
    pub about_id: String,
    /// The facts of a mail as JSON, or the exact bytes of a webhook.
    pub body: String,
    /// A name that no other delivery may have, so that a job reports the same thing only once.
    pub unique_key: Option<String>,
    /// How many events of its kind it reports.
    pub occurrences: i64,
    /// When it was queued.
    pub queued_at: UnixSeconds,
    /// When it is sent at the earliest.
    pub first_attempt_at: UnixSeconds,
}

/// A delivery that this process may send now: no other process sends it before the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// UUIDv7.
    pub delivery_id: String,
    /// How it is sent.
    pub channel: Channel,
    /// The type of the event, or `summary`.
    pub kind: String,
    /// A mail address (empty: the contacts of the client), or the id of a webhook.
    pub recipient: String,
    /// As in [`NewDelivery::host`].
    pub host: String,
    /// As in [`NewDelivery::workspace_id`].
    pub workspace_id: Option<String>,
    /// As in [`NewDelivery::about_id`].
    pub about_id: String,
    /// The facts of a mail as JSON, or the exact bytes of a webhook.
    pub body: String,
    /// How many events of its kind it reports.
    pub occurrences: i64,
    /// When it was queued.
    pub queued_at: UnixSeconds,
    /// Which attempt this is, from 1. A result is stored only if the row still has this attempt and this owner.
    pub attempt: i64,
    /// The process that has the lease.
    pub owner: String,
}

/// The reply to an attempt, and the error if it failed: shown to those who look for the cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The status of the reply, of SMTP or HTTP.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The beginning of the reply.
    pub reply: Option<String>,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Sent(Report),
    /// It is tried again, unless this was the last attempt.
    Retry {
        /// How many seconds the receiver asks to wait (`Retry-After`); `None` if it does not say.
        retry_after: Option<i64>,
        /// The reply and the error.
        report: Report,
    },
    /// It will never be accepted: no more attempts.
    Dead(Report),
}

/// A delivery, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// UUIDv7.
    pub delivery_id: String,
    /// How it is sent.
    pub channel: Channel,
    /// The type of the event, or `summary`.
    pub kind: String,
    /// A mail address (empty: the contacts of the client when it is sent), or the id of a webhook.
    pub recipient: String,
    /// As in [`NewDelivery::workspace_id`].
    pub workspace_id: Option<String>,
    /// As in [`NewDelivery::about_id`].
    pub about_id: String,
    /// The label of that client, or the name of that operator; `None` for others and once they are deleted.
    pub about: Option<String>,
    /// Whether it is about a client that exists.
    pub is_about_client: bool,
    /// The facts of a mail as JSON, or the exact bytes of a webhook.
    pub body: String,
    /// How many events of its kind it reports.
    pub occurrences: i64,
    /// When it was queued.
    pub queued_at: UnixSeconds,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it waits.
    pub next_attempt_at: UnixSeconds,
    /// When it was sent.
    pub sent_at: Option<UnixSeconds>,
    /// When it was given up.
    pub dead_at: Option<UnixSeconds>,
    /// When it was tried last.
    pub last_attempt_at: Option<UnixSeconds>,
    /// The status of the last reply.
    pub last_status: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The beginning of the last reply.
    pub last_reply: Option<String>,
}

impl Delivery {
    /// Whether its body is complete: a setup link is erased from it when the mail is sent or given up.
    pub fn is_whole(&self) -> bool {
        self.kind != MailKind::SetupLink.as_str() || (self.sent_at.is_none() && self.dead_at.is_none())
    }
}
