//! Mails about an API client and its secrets.

use super::changes;
use super::facts::Facts;
use super::letter::{Letter, Row};
use crate::model::moment::count;

/// The advice for a recipient who cannot sign in to the console.
pub(super) const ASK: &str =
    "If you cannot sign in there, ask the people who run this service for you, and give them the client id.";

pub(super) fn created(facts: Facts<'_>) -> Letter {
    let products = facts.list("products");
    let permissions = facts.list("permissions");
    let networks = facts.list("allowed_ips");
    let expiry = facts.0.get("token_expiry").map(|expiry| changes::words("token_expiry", expiry));
    let named = |list: Vec<String>| changes::listed(list.into_iter());
    Letter::new("API client created")
        .says("A new API client can now get access tokens, with the secret that was shown once when it was created.")
        .row((!products.is_empty()).then(|| Row::new("Products", named(products))))
        .row((!permissions.is_empty()).then(|| Row::new("Permissions on Mintmark itself", named(permissions))))
        .row(expiry.map(|expiry| Row::new("How long its tokens live", expiry)))
        .row((!networks.is_empty()).then(|| Row::code("Addresses it may call from", named(networks))))
        .row(facts.moment("expires_at").map(|end| Row::new("It ends", end)))
        .advises("Open the API client in the console, and disable or delete it: its tokens are then refused.")
        .advises(ASK)
}

pub(super) fn updated(facts: Facts<'_>) -> Letter {
    let mut letter = Letter::new("API client changed")
        .says("Settings of the API client were changed.")
        .may_say(revoked_with_it(facts))
        .advises("Open the API client in the console, and set back what was changed. If you do not know who did it, disable the client until you do.")
        .advises(ASK);
    letter.changes = changes::of(facts);
    letter
}

pub(super) fn disabled(facts: Facts<'_>) -> Letter {
    let mut letter = Letter::ended("API client disabled")
        .says("The API client gets no access tokens any more, and the ones it has are refused until it is enabled again.")
        .may_say(revoked_with_it(facts))
        .advises("Systems that use this client cannot call until it is enabled. Open it in the console, and set its status to active if it should work.")
        .advises(ASK);
    letter.changes = changes::of(facts);
    letter
}

pub(super) fn enabled(facts: Facts<'_>) -> Letter {
    let mut letter = Letter::new("API client enabled again")
        .says("The API client can get access tokens again, and the tokens it had before are accepted again, unless they have ended.")
        .may_say(revoked_with_it(facts))
        .advises("Open the API client in the console, and disable it.")
        .advises(ASK);
    letter.changes = changes::of(facts);
    letter
}

pub(super) fn products_taken(facts: Facts<'_>) -> Letter {
    let taken = changes::listed(facts.list("taken").into_iter());
    let mut letter = Letter::ended("Access taken from an API client")
        .says(format!("The API client can no longer open: {taken}. Tokens for any of these are refused."))
        .may_say(revoked_with_it(facts))
        .advises("Systems that use this client get an error when they ask for what was taken. Open the client in the console, and grant it again if it should have it.")
        .advises(ASK);
    letter.changes = changes::of(facts);
    letter
}

pub(super) fn deleted(facts: Facts<'_>) -> Letter {
    let mut letter = Letter::ended("API client deleted")
        .says("The API client and its secrets are gone. Its access tokens are refused.")
        .may_say(revoked_with_it(facts))
        .advises("Systems that used this client cannot call any more. A deleted client cannot be brought back: create a new one, and roll out its id and secret.")
        .advises("The audit trail shows who did it: ask the people who run this service for you, and give them the client id.");
    letter.page = Some(String::new());
    letter
}

pub(super) fn secret_added(facts: Facts<'_>) -> Letter {
    let others = facts.moment("others_expire_at");
    Letter::new("Client secret added")
        .says("The API client can now authenticate with one more secret. The secret was shown once, and is not in this mail.")
        .may_say(others.map(|end| {
            format!("All its other secrets expire on {end}: use the new one in every system before that.")
        }))
        .may_say(revoked_with_it(facts))
        .row(facts.shown("last_four").map(|last| Row::code("New secret", format!("…{last}"))))
        .row(Some(Row::new("It expires", facts.moment("expires_at").unwrap_or_else(|| "never".to_owned()))))
        .advises("Somebody may be able to get tokens in the name of this client. Open it in the console, delete the new secret, and revoke all its access tokens.")
        .advises(ASK)
}

pub(super) fn secret_removed(facts: Facts<'_>) -> Letter {
    let left = facts.number("live_secrets_left");
    let letter = if left == Some(0) {
        Letter::ended("Client secret removed")
            .says("The API client has no secret left, so it cannot get access tokens. Tokens that it has stay valid until they end.")
    } else {
        Letter::new("Client secret removed")
            .says("The API client can no longer authenticate with this secret. Tokens that it has stay valid until they end.")
    };
    letter
        .row(facts.shown("last_four").map(|last| Row::code("Removed secret", format!("…{last}"))))
        .row(left.map(|left| Row::new("Secrets that are left", left.to_string())))
        .advises("A system that still uses the removed secret is refused. Open the client in the console, add a new secret, and roll it out.")
        .advises(ASK)
}

pub(super) fn secret_first_used(facts: Facts<'_>) -> Letter {
    let network = facts.shown("network");
    let letter = if facts.is("is_first") {
        Letter::new("Client secret used for the first time").says(
            "A system authenticated with this secret for the first time. If it replaces another one, that one can be deleted as soon as it is no longer used.",
        )
    } else {
        Letter::new("API client used from a new network")
            .says("The API client authenticated from a network that it was not seen in before.")
    };
    letter
        .row(facts.shown("last_four").map(|last| Row::code("Secret", format!("…{last}"))))
        .row(network.map(|network| Row::code("Network", network)))
        .advises("The secret may be in the wrong hands. Open the client in the console, add a new secret, revoke all its access tokens, and delete this secret. You can also limit the addresses that it may call from.")
        .advises(ASK)
}

/// How many tokens ended with a change.
fn revoked_with_it(facts: Facts<'_>) -> Option<String> {
    match facts.number("revoked_tokens").unwrap_or_default() {
        0 => None,
        1 => Some("1 access token was revoked with it.".to_owned()),
        tokens => Some(format!("{} were revoked with it.", count(tokens, "access token"))),
    }
}
