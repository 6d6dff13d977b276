//! What the mails say: each tells the contacts of an API client, or an operator, what happened, to which client, by whom, from
//! where and when, what changed, and what to do about it. For the worker that sends them.
//!
//! A mail never has a secret or a token, apart from a setup link that is mailed to its operator. It loads nothing from
//! elsewhere, and opening a link in it changes nothing. Labels and names are written by users: `text::shown`
//! removes what could mislead a reader, and the HTML escapes them.

mod author;
mod changes;
mod clients;
mod facts;
mod letter;
mod people;
mod reminders;
mod tokens;

use askama::Template;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::kernel::Kernel;
use crate::model::clock::UnixSeconds;
use crate::model::delivery::Claimed;
use crate::model::mail::MailKind;
use crate::model::moment;
use crate::model::text;

use facts::Facts;
use letter::{Letter, Row};

/// How long a subject may be, in characters.
const SUBJECT_MAX: usize = 80;
/// How much of a label, a name or a value is shown, in characters.
const SHOWN_MAX: usize = 200;

/// The mail to write, as queued.
#[derive(Debug, Clone)]
pub struct MailFacts {
    /// Which message.
    pub kind: MailKind,
    /// The address that it goes to.
    pub recipient: String,
    /// The id of what the mail is about: a client, an operator or a webhook.
    pub about_id: String,
    /// The facts that were queued with the mail; of the last event, if it reports several. Never a secret or a token.
    pub facts: Map<String, Value>,
    /// How many events the mail reports.
    pub occurrences: i64,
    /// When the first of them was queued.
    pub queued_at: UnixSeconds,
    /// The setup link that it carries, decrypted; for [`MailKind::SetupLink`] only.
    pub setup_link: Option<Zeroizing<String>>,
}

/// The service that sends the mail.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The issuer identifier.
    pub issuer: &'a str,
    /// Where the console is reached: the URL before `/console`; `None` if recipients cannot reach it.
    pub console_url: Option<&'a str>,
}

/// A message: the subject and the bodies, without other headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line of at most 80 characters, without any that are invisible or change the reading direction.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The template of the plain text.
#[derive(Template)]
#[template(path = "mail.txt")]
struct AsText<'a>(&'a Page<'a>);

/// The template of the HTML.
#[derive(Template)]
#[template(path = "mail.html")]
struct AsHtml<'a>(&'a Page<'a>);

/// What both templates show.
struct Page<'a> {
    subject: &'a str,
    letter: &'a Letter,
    /// How often it happened, if more than once.
    merged: Option<String>,
    rows: Vec<Row>,
    console_href: Option<String>,
    why: String,
    issuer: &'a str,
}

/// The message of a delivery.
///
/// # Errors
/// [`Unwritable`].
pub(super) fn of(claimed: &Claimed, kernel: &Kernel) -> Result<Message, Unwritable> {
    let kind = MailKind::from_name(&claimed.kind).ok_or_else(|| Unwritable::Unknown(claimed.kind.clone()))?;
    // If the facts cannot be read, the mail is sent without them; one with a setup link is given up.
    let facts: Map<String, Value> = serde_json::from_str(&claimed.body).unwrap_or_default();
    let setup_link = match kind {
        MailKind::SetupLink => Some(setup_link(claimed, Facts(&facts), kernel)?),
        _ => None,
    };
    let mail = MailFacts {
        kind,
        recipient: claimed.recipient.clone(),
        about_id: claimed.about_id.clone(),
        facts,
        occurrences: claimed.occurrences,
        queued_at: claimed.queued_at,
        setup_link,
    };
    let policy = &kernel.policy;
    Ok(render(&mail, &Sender { issuer: &policy.audiences.issuer, console_url: Some(&policy.console_url) })?)
}

/// The setup link that a mail carries, unless the link has expired.
fn setup_link(claimed: &Claimed, facts: Facts<'_>, kernel: &Kernel) -> Result<Zeroizing<String>, Unwritable> {
    let sealed = facts.text("sealed_link").ok_or(Unwritable::Erased)?;
    if facts.instant("expires_at").is_none_or(|end| end <= kernel.clock.now()) {
        return Err(Unwritable::Ended);
    }
    kernel.open_setup_link(&claimed.about_id, sealed).ok_or(Unwritable::Erased)
}

/// Why a mail cannot be written. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    /// A newer version queued it.
    #[error("this version does not know mails about {0}")]
    Unknown(String),
    /// The setup link is gone: it is kept only until its mail is sent or given up.
    #[error("the setup link was erased when its mail was sent or given up: make a new one")]
    Erased,
    /// The setup link expired before its mail was sent.
    #[error("the setup link has expired: make a new one")]
    Ended,
    /// A template could not be rendered, which is not expected.
    #[error("the mail cannot be written: {0}")]
    Template(#[from] askama::Error),
}

/// Writes a mail.
///
/// # Errors
/// [`askama::Error`], which is not expected from these templates.
pub fn render(mail: &MailFacts, sender: &Sender<'_>) -> Result<Message, askama::Error> {
    let facts = Facts(&mail.facts);
    let letter = letter_of(mail, facts);
    let name = facts.shown("label").or_else(|| facts.shown("name")).unwrap_or_default();
    let subject = if letter.is_personal || name.is_empty() {
        text::shown(&letter.headline, SUBJECT_MAX)
    } else {
        text::shown(&format!("{}: {name}", letter.headline), SUBJECT_MAX)
    };
    // A mail program would decode what looks like an encoded word (RFC 2047).
    let subject = subject.replace("=?", "= ?").chars().take(SUBJECT_MAX).collect::<String>();
    let mut rows = about(mail, facts);
    rows.extend(letter.rows.iter().cloned());
    rows.extend(author::rows(facts, mail));
    let href = |path: &String| Some(format!("{}/console{path}", sender.console_url?));
    let page = Page {
        subject: &subject,
        merged: merged(mail, facts),
        rows,
        console_href: letter.page.as_ref().and_then(href),
        why: why(mail),
        issuer: sender.issuer,
        letter: &letter,
    };
    let text = AsText(&page).render()?;
    Ok(Message { text: tidy(&text), html: AsHtml(&page).render()?, subject: subject.clone() })
}

fn letter_of(mail: &MailFacts, facts: Facts<'_>) -> Letter {
    match mail.kind {
        MailKind::ClientCreated => clients::created(facts),
        MailKind::ClientUpdated => clients::updated(facts),
        MailKind::ClientDisabled => clients::disabled(facts),
        MailKind::ClientEnabled => clients::enabled(facts),
        MailKind::ProductsTaken => clients::products_taken(facts),
        MailKind::ClientDeleted => clients::deleted(facts),
        MailKind::SecretCreated => clients::secret_added(facts),
        MailKind::SecretDeleted => clients::secret_removed(facts),
        MailKind::SecretFirstUsed => clients::secret_first_used(facts),
        MailKind::TokenCreated => tokens::generated(facts),
        MailKind::TokenRevoked => tokens::revoked(facts),
        MailKind::TokensRevoked => tokens::all_revoked(facts),
        MailKind::KeyRevoked => tokens::key_revoked(facts),
        MailKind::SecretExpiring => reminders::secret(facts),
        MailKind::ClientExpiring => reminders::client(facts),
        MailKind::TokenExpiring => reminders::token(facts),
        MailKind::WebhookDisabled => people::webhook_disabled(facts),
        MailKind::DeliveryFailed => people::webhook_failed(facts),
        MailKind::WaysInReplaced => people::ways_in_replaced(facts),
        MailKind::SetupLink => people::setup_link(facts, mail.setup_link.as_ref().map(|link| link.as_str())),
        MailKind::Summary => people::summary(mail.occurrences),
    }
    .of(mail)
}

/// What the mail is about.
fn about(mail: &MailFacts, facts: Facts<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    if mail.kind.is_about_client() {
        rows.extend(facts.shown("label").map(|label| Row::new("API client", label)));
        rows.push(Row::code("Client id", text::shown(&mail.about_id, SHOWN_MAX)));
    }
    rows.extend(facts.shown("workspace_id").map(|id| Row::code("Workspace", id)));
    rows
}

/// How often it happened, if more than once: changes of one kind within a minute are one mail.
fn merged(mail: &MailFacts, facts: Facts<'_>) -> Option<String> {
    if mail.occurrences < 2 || mail.kind == MailKind::Summary {
        return None;
    }
    let last = facts.number("at").unwrap_or(mail.queued_at);
    let times = mail.occurrences;
    let (first, last) = (moment::exact_to_the_second(mail.queued_at), moment::exact_to_the_second(last));
    Some(if first == last {
        format!("This happened {times} times at {first}. Below is the last of them; the audit trail has all.")
    } else {
        format!(
            "This happened {times} times from {first} to {last}. Below is the last of them; the audit trail has all."
        )
    })
}

/// Why the recipient gets the mail.
fn why(mail: &MailFacts) -> String {
    let recipient = text::shown(&mail.recipient, SHOWN_MAX);
    match mail.kind {
        MailKind::SetupLink | MailKind::WaysInReplaced => {
            format!("This went to {recipient} because that is the address of your account.")
        }
        MailKind::WebhookDisabled | MailKind::DeliveryFailed => {
            format!("This went to {recipient}, an administrator of the workspace or of the platform.")
        }
        _ if recipient.is_empty() => "This went to the notification addresses of the API client.".to_owned(),
        _ => format!("This went to {recipient}, a notification address of the API client."),
    }
}

/// `text` without the white space at line ends and the repeated empty lines that a template leaves.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && empty) {
            tidy.push_str(line);
            tidy.push('\n');
        }
        empty = line.is_empty();
    }
    tidy
}
