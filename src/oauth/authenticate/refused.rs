//! The reply to a client that could not authenticate, the line in the log, and what the client's administrators see.
//!
//! The reply is the same for every failure that depends on a client, until there are too many (429). The reply to malformed
//! credentials ([`fault`]) names what is wrong, which reveals nothing about a client. Such credentials do not count as an
//! attempt to guess a secret.

use std::net::IpAddr;

use actix_web::HttpRequest;

use super::presented::{InBody, Presented};
use super::throttle::Throttled;
use crate::model::ids;
use crate::model::refusal::Refusal;
use crate::model::secret::SecretFault;
use crate::oauth::door::Door;
use crate::oauth::error::OAuthError;
use crate::oauth::failures::{self, Sender};

/// What is wrong with malformed credentials; `None` for any other reason.
fn fault(reason: Refusal) -> Option<&'static str> {
    Some(match reason {
        Refusal::BasicNotEncoded => {
            "the value of Basic has a colon: encode client_id:client_secret in base64"
        }
        Refusal::BasicWithSpaces => {
            "the value of Basic has spaces inside: send base64 of client_id:client_secret in one piece"
        }
        Refusal::MalformedSecret(fault) => match fault {
            SecretFault::WhiteSpace => {
                "the client secret has white space or a line end before or after it: send it without"
            }
            SecretFault::Length => {
                "the client secret is not complete or has something added: a secret has 53 characters, beginning with mms_"
            }
            SecretFault::Alphabet => {
                "the client secret has a character that no secret has: after mms_, a secret has only letters and digits"
            }
            SecretFault::Checksum => {
                "the client secret has a wrong character: its checksum does not match, so copy it again"
            }
        },
        _ => return None,
    })
}

/// The error for a request from `source` that does not authenticate its client because of `reason`. Also counts the
/// failure, writes a log line if one is due, and notes the failure for the client's administrators.
#[cold]
pub(super) fn error(
    door: &Door,
    request: &HttpRequest,
    reason: Refusal,
    presented: Option<&Presented>,
    source: Option<IpAddr>,
) -> OAuthError {
    let sender = presented.map(Presented::sender).unwrap_or_default();
    failures::note(door, request, reason, None, sender);
    if let Some(fault) = fault(reason) {
        if let Some(count) = door.throttle.malformed(source) {
            log(reason, sender, source, count, "client authentication failed: the credentials are malformed");
        }
        return OAuthError::MalformedCredentials(fault);
    }
    match door.throttle.failed(sender.client_id, source) {
        None => {
            log(reason, sender, source, 1, "client authentication failed");
            OAuthError::InvalidClient
        }
        Some(Throttled { seconds, line }) => {
            if let Some(count) = line {
                log(reason, sender, source, count, "client authentication failed too often");
            }
            OAuthError::TooManyFailures(seconds)
        }
    }
}

/// Notes a malformed request for the administrators of the client that it names. Returns `error`.
#[cold]
pub(super) fn malformed(
    door: &Door,
    request: &HttpRequest,
    error: OAuthError,
    presented: Option<&Presented>,
) -> OAuthError {
    if error.code() == "invalid_request" {
        // If the body could not be read, the `Authorization` header may still say who sent the request.
        let in_header = || Presented::read(request.headers(), InBody::default()).ok().and_then(Result::ok);
        let in_header = if presented.is_none() { in_header() } else { None };
        let sender = presented.or(in_header.as_ref()).map(Presented::sender).unwrap_or_default();
        failures::note(door, request, Refusal::MalformedRequest, Some(&error.description()), sender);
    }
    error
}

/// Writes one line for the `count` failures since the last one.
fn log(reason: Refusal, sender: Sender<'_>, source: Option<IpAddr>, count: u32, message: &'static str) {
    tracing::info!(
        target: "mintmark::authenticate",
        reason = reason.as_str(),
        // Anything that is not a client id may be a secret that was sent in its place.
        client_id = if ids::is_client_id(sender.client_id) { sender.client_id } else { "none" },
        source = source.map_or_else(|| "unknown".to_owned(), |source| source.to_string()),
        count,
        "{message}"
    );
}
