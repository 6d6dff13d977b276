//! A request to create or change a webhook, and the rules for its members.

use serde_json::Value;

use crate::kernel::Fields;
use crate::model::description;
use crate::model::field_errors::FieldErrors;
use crate::model::member::Member;
use crate::model::webhook::{Disabled, Events, Webhook, is_pattern};
use crate::outbound::{Outbound, OutboundError};

const URL_MAX: usize = 2000;
const PATTERNS_MAX: usize = 50;

/// A request to create or change a webhook. `null` sets the default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where requests go; a webhook must have one.
    pub url: Member<String>,
    /// The patterns of the events it gets; default all except those that must be named ([`Events::Usual`]).
    pub events: Member<Vec<String>>,
    /// Free text about it; default none.
    pub description: Member<String>,
    /// `active` (default) or `disabled`.
    pub status: Member<String>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

impl std::fmt::Debug for WebhookChange {
    /// Without the URL, which may have a secret in its query.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookChange")
            .field("events", &self.events)
            .field("description", &self.description)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl WebhookChange {
    /// Reads the body of a request to create or change a webhook.
    pub(crate) fn read(body: &Value) -> Self {
        let (change, parse_errors) = Fields::read(body, |fields| Self {
            url: fields.string("url"),
            events: fields.strings("events"),
            description: fields.string("description"),
            status: fields.string("status"),
            parse_errors: FieldErrors::default(),
        });
        Self { parse_errors, ..change }
    }

    /// Applies the change. Members that break a rule are added to `errors`; the caller then stores nothing.
    pub(super) fn apply(&self, webhook: &mut Webhook, outbound: &Outbound, errors: &mut FieldErrors) {
        match &self.url {
            Member::Absent => {}
            Member::Null => errors.add("/url", "is required"),
            // An unchanged URL is accepted, even if it may not be requested any more.
            Member::Value(url) if *url == webhook.url && !url.is_empty() => {}
            Member::Value(url) => match host_of(url, outbound) {
                Ok(host) => {
                    (webhook.url, webhook.host) = (url.clone(), host);
                    // Failures at another URL do not count.
                    webhook.failing_since = None;
                }
                Err(why) => errors.add("/url", why),
            },
        }
        match &self.events {
            Member::Absent => {}
            Member::Null => webhook.events = Events::Usual,
            Member::Value(patterns) => {
                check(patterns, errors);
                webhook.events = Events::Named(patterns.clone());
            }
        }
        description::apply(&self.description, &mut webhook.description, errors);
        match self.status.value().map(String::as_str) {
            None if self.status.is_absent() => {}
            None | Some("active") => {
                if webhook.disabled.take().is_some() {
                    // Failures before it was enabled do not count.
                    webhook.failing_since = None;
                }
            }
            Some("disabled") => webhook.disabled = webhook.disabled.or(Some(Disabled::Administrator)),
            Some(_) => errors.add("/status", "must be active or disabled"),
        }
    }
}

/// A request that takes no members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoMembers {
    /// An error for each member that it has.
    pub parse_errors: FieldErrors,
}

impl NoMembers {
    /// Reads the body.
    pub(crate) fn read(body: &Value) -> Self {
        let ((), parse_errors) = Fields::read(body, |_| ());
        Self { parse_errors }
    }
}

/// Host and port of a URL that may be requested, or what is wrong with it.
fn host_of(url: &str, outbound: &Outbound) -> Result<String, String> {
    if url.len() > URL_MAX {
        return Err(format!("must have at most {URL_MAX} characters"));
    }
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "must have only ASCII characters and no spaces: percent-encode others, and write host names in punycode"
                .to_owned(),
        );
    }
    if url.contains('#') {
        return Err("must have no fragment: leave out what begins with #".to_owned());
    }
    outbound.host_of(url).map_err(|error| match error {
        OutboundError::Url(why) => {
            format!("cannot be requested: {why}; send a URL like https://hooks.example.com/mintmark")
        }
        // The error says nothing else, so that nobody learns what is inside a network.
        other => other.to_string(),
    })
}

fn check(patterns: &[String], errors: &mut FieldErrors) {
    if patterns.is_empty() {
        errors.add(
            "/events",
            "must name at least one event: send null for the default, or disable the webhook",
        );
    }
    if patterns.len() > PATTERNS_MAX {
        return errors.add("/events", format!("must have at most {PATTERNS_MAX} patterns"));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let pointer = format!("/events/{index}");
        if !is_pattern(pattern) {
            errors.add(pointer, "names no event: send the name of an event, a pattern like client.*, or *");
        } else if patterns.iter().take(index).any(|before| before == pattern) {
            errors.add(pointer, "is listed twice: list it once");
        }
    }
}
