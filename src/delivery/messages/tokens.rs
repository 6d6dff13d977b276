//! Mails about access tokens, and about a revoked signing key, with which the tokens that it signed end.

use super::clients::ASK;
use super::facts::Facts;
use super::letter::{Letter, Row};
use crate::model::moment::count;

pub(super) fn generated(facts: Facts<'_>) -> Letter {
    let end = facts.moment("expires_at").unwrap_or_else(|| "never, until it is revoked".to_owned());
    Letter::new("Access token generated")
        .says("An access token was generated for the API client. It was shown once, and is not in this mail.")
        .row(scope(facts))
        .row(Some(Row::new("It expires", end)))
        .row(token_id(facts))
        .advises("Somebody holds a token that opens what is listed above. Open the client in the console, and revoke the token.")
        .advises(ASK)
}

pub(super) fn revoked(facts: Facts<'_>) -> Letter {
    Letter::ended("Access token revoked")
        .says("One access token of the API client is refused from now on. Its other tokens are not affected.")
        .row(scope(facts))
        .row(token_id(facts))
        .advises("The system that used this token has to get a new one. If that should not have happened, the client's history in the console shows who did it.")
        .advises(ASK)
}

pub(super) fn all_revoked(facts: Facts<'_>) -> Letter {
    let recorded = facts.number("revoked_tokens").filter(|tokens| *tokens > 0);
    Letter::ended("All access tokens revoked")
        .says("Every access token that the API client had is refused from now on. With its secret it can get new ones.")
        .row(recorded.map(|tokens| Row::new("Recorded tokens among them", tokens.to_string())))
        .advises("Systems that keep a token until it ends have to get a new one. If that should not have happened, the client's history in the console shows who did it.")
        .advises(ASK)
}

pub(super) fn key_revoked(facts: Facts<'_>) -> Letter {
    let recorded = facts.number("revoked_tokens").filter(|tokens| *tokens > 0);
    Letter::ended("Signing key revoked")
        .says("The service revoked one of its signing keys. The access tokens of the API client that were signed by it are refused from now on. With its secret the client can get new ones.")
        .row(facts.shown("kid").map(|kid| Row::code("Signing key", kid)))
        .row(recorded.map(|tokens| Row::new("Revoked", count(tokens, "recorded token"))))
        .advises("Systems that keep a token until it ends have to get a new one. Ask the people who run this service for you why the key was revoked.")
}

pub(super) fn scope(facts: Facts<'_>) -> Option<Row> {
    facts.shown("scope").map(|scope| Row::code("It opens", scope.replace(' ', ", ")))
}

fn token_id(facts: Facts<'_>) -> Option<Row> {
    facts.shown("jti").map(|jti| Row::code("Token id", jti))
}
