//! Mails to operators, about their own account or a webhook that they look after, and the summary of many changes.

use super::facts::Facts;
use super::letter::{Letter, Row};
use crate::model::moment::count;

pub(super) fn ways_in_replaced(facts: Facts<'_>) -> Letter {
    let hello = facts.shown("name").map(|name| format!("Hello {name},"));
    let mut letter = Letter::ended("Your ways to sign in were replaced")
        .may_say(hello)
        .says("A setup link was used for your account: the passkeys, password, codes and linked accounts that you had do not work any more, your sessions have ended, and a new way to sign in was set up.")
        .advises("If it was not you, somebody else can sign in as you now. Ask a platform administrator at once to disable your account, or to make a new setup link for you, which removes what was set up.");
    letter.tone_word = "About your account";
    letter.page = Some("/account".to_owned());
    letter.page_name = "Your account in the console";
    letter.is_personal = true;
    letter
}

pub(super) fn setup_link(facts: Facts<'_>, link: Option<&str>) -> Letter {
    let hello = facts.shown("name").map(|name| format!("Hello {name},"));
    let mut letter = Letter::new("Set up how you sign in to the console")
        .may_say(hello)
        .says("With this link you set up how you sign in to the console: a passkey, or a password with a code. It works once. Opening it changes nothing until you confirm there.")
        .row(facts.moment("expires_at").map(|end| Row::new("The link works until", end)))
        .advises("Do not use the link, and do not pass it on: anybody who has it can sign in as you. Tell the person who made it. A link that is not used stops working by itself.");
    letter.tone_word = "About your account";
    letter.link = link.map(str::to_owned);
    if link.is_none() {
        letter.lead.push("The link has ended already. Ask the person who made it for a new one.".to_owned());
    }
    letter.page = Some(String::new());
    letter.is_personal = true;
    letter
}

pub(super) fn webhook_disabled(facts: Facts<'_>) -> Letter {
    let why = match facts.text("reason") {
        Some("gone") => Some("its receiver answered 410 Gone"),
        Some("failing") => Some("its receiver accepted no request for five days"),
        _ => None,
    };
    let mut letter = Letter::ended("Webhook disabled")
        .says("The service sends nothing to this webhook any more, because its receiver answered 410 Gone, or accepted no request for five days.")
        .row(facts.shown("url").map(|url| Row::code("Webhook", url)))
        .row(facts.shown("webhook_id").map(|id| Row::code("Webhook id", id)))
        .row(why.map(|why| Row::new("Why", why)))
        .advises("Look at the last replies on the webhook's page in the console, repair the receiver, and set the webhook to active again. Then send again what it has missed: failed deliveries are kept for 30 days.");
    letter.advice_title = "What to do";
    letter.tone_word = "Webhook off";
    letter.page = Some("/webhooks".to_owned());
    letter.page_name = "The webhooks in the console";
    letter
}

pub(super) fn webhook_failed(facts: Facts<'_>) -> Letter {
    let mut letter = Letter::warning("Webhook request given up")
        .says("The service gave up sending a request to a webhook. More requests may have been given up today: this mail comes at most once a day.")
        .row(facts.shown("url").map(|url| Row::code("Webhook", url)))
        .row(facts.shown("webhook_id").map(|id| Row::code("Webhook id", id)))
        .row(facts.shown("event").map(|event| Row::code("Event", event)))
        .row(facts.shown("error").map(|error| Row::new("Last failure", error)))
        .advises("Look at the last replies on the webhook's page in the console, and repair the receiver. Then send again what it has missed: what was given up is kept for 30 days. After five days of nothing but failures the webhook is disabled.");
    letter.advice_title = "What to do";
    letter.tone_word = "Webhook fails";
    letter.page = Some("/webhooks".to_owned());
    letter.page_name = "The webhooks in the console";
    letter
}

pub(super) fn summary(changes: i64) -> Letter {
    Letter::new(format!("{} to an API client", count(changes, "more change")))
        .says("So much happened to this API client that not every change got a mail of its own. The audit trail has each of them.")
        .advises("Open the API client in the console, and read its history. If it goes on, disable the client until you know who does it.")
        .advises(super::clients::ASK)
}
