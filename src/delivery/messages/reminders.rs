//! Mails sent before a secret, an API client or an access token ends.

use super::changes;
use super::clients::ASK;
use super::facts::Facts;
use super::letter::{Letter, Row};
use super::tokens;
use crate::model::moment::{self, count};

const DAY: i64 = 86_400;

pub(super) fn secret(facts: Facts<'_>) -> Letter {
    Letter::warning(format!("Client secret expires {}", left(facts)))
        .says("After that the API client cannot authenticate with this secret any more, and gets no new access tokens with it.")
        .may_say(inactive(facts))
        .row(facts.shown("last_four").map(|last| Row::code("Secret", format!("…{last}"))))
        .row(end(facts))
        .row(also(facts, |other| other.shown("last_four").map(|last| format!("…{last}"))))
        .row(facts.moment("last_used_at").map(|at| Row::new("Last used", at)))
        .advises("Open the client in the console and add a new secret; the old one goes on working until it expires. Use the new one in every system that has the old one. When the console shows that only the new one is used, delete the old one.")
        .advises("If the secret is not used any more, there is nothing to do.")
        .advises(ASK)
}

pub(super) fn client(facts: Facts<'_>) -> Letter {
    Letter::warning(format!("API client ends {}", left(facts)))
        .says("After that the API client gets no access tokens any more, and the ones it has are refused.")
        .may_say(inactive(facts))
        .row(end(facts))
        .advises("If it is still needed, open the client in the console, and set its end to a later day. If not, there is nothing to do.")
        .advises(ASK)
}

pub(super) fn token(facts: Facts<'_>) -> Letter {
    Letter::warning(format!("Access token expires {}", left(facts)))
        .says("After that the token is refused. A system that asks Mintmark for its tokens itself gets a new one in time; one that was given this token by hand needs another.")
        .may_say(inactive(facts))
        .row(tokens::scope(facts))
        .row(end(facts))
        .row(also(facts, |other| other.shown("jti")))
        .row(facts.shown("jti").map(|jti| Row::code("Token id", jti)))
        .row(facts.moment("issued_at").map(|at| Row::new("Issued", at)))
        .advises("If the token was given to a system by hand, open the client in the console, generate a new token, and put it in the place of this one.")
        .advises("If the system asks for its tokens itself, or is not used any more, there is nothing to do.")
        .advises(ASK)
}

/// How long is left, as it was when the reminder was queued.
fn left(facts: Facts<'_>) -> String {
    let (Some(end), Some(at)) = (facts.instant("ends_at"), facts.number("at")) else {
        return "soon".to_owned();
    };
    match (end - at).max(0) {
        seconds if seconds <= DAY => "within a day".to_owned(),
        seconds => format!("in {}", count((seconds + DAY - 1) / DAY, "day")),
    }
}

fn end(facts: Facts<'_>) -> Option<Row> {
    facts.instant("ends_at").map(|end| Row::new("It ends", moment::exact(end)))
}

/// The other secrets or tokens of the client that end soon. `name` names one of them.
fn also(facts: Facts<'_>, name: impl Fn(Facts<'_>) -> Option<String>) -> Option<Row> {
    let others = facts.objects("also").into_iter();
    let named = others.filter_map(|other| Some(format!("{} ({})", name(other)?, other.moment("ends_at")?)));
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| Row::new("Others that end soon", changes::listed(named.into_iter())))
}

/// Why the client does not work even before the end; `None` if it works.
fn inactive(facts: Facts<'_>) -> Option<String> {
    if facts.is("is_suspended") {
        Some("Its workspace is suspended, so the client does not work now either.".to_owned())
    } else if facts.is("is_disabled") {
        Some("The client is disabled, so it does not work now either.".to_owned())
    } else {
        None
    }
}
