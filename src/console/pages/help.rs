//! `/console/help`: for the people who connect an ERP or a service. It has the addresses of this deployment, programs that
//! get and verify tokens, and what each error means.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::page::{Shell, ok};
use crate::console::session::SignedIn;
use crate::console::snippets::{self, Snippet};
use crate::console::stop::Stop;

#[derive(Template)]
#[template(path = "help.html")]
struct HelpPage {
    shell: Shell,
    issuer: String,
    addresses: Vec<(&'static str, String)>,
    token: Vec<Snippet>,
    verify: Vec<Snippet>,
    token_errors: &'static [ErrorHelp],
    verify_errors: &'static [ErrorHelp],
}

/// An error, in the words of the service, and what to do.
struct ErrorHelp {
    status: &'static str,
    code: &'static str,
    /// The `error_description`, or the part of it that is always the same. Without one, what the answer has instead.
    text: &'static str,
    means: &'static str,
}

const fn error(
    status: &'static str,
    code: &'static str,
    text: &'static str,
    means: &'static str,
) -> ErrorHelp {
    ErrorHelp { status, code, text, means }
}

/// What the token endpoint answers.
const TOKEN_ERRORS: [ErrorHelp; 17] = [
    error(
        "401",
        "invalid_client",
        "client authentication failed: check the client id and secret, and that the client is active; the operator finds the reason under the X-Request-Id of this response",
        "The client id or the secret is wrong, or the secret has expired, or the client is disabled, has ended, or may not call from this address, or its workspace is suspended. The service does not say which, so that nobody can guess. An administrator sees the reason on the page of the client.",
    ),
    error(
        "401",
        "invalid_client",
        "the client secret has white space or a line end before or after it: send it without",
        "The secret was copied with a space or a line end. Paste it again.",
    ),
    error(
        "401",
        "invalid_client",
        "the client secret is not complete or has something added: a secret has 53 characters, beginning with mms_",
        "Part of the secret was not copied, or the field of the ERP is too short.",
    ),
    error(
        "401",
        "invalid_client",
        "the client secret has a wrong character: its checksum does not match, so copy it again",
        "A character of the secret is wrong. Copy it again, and do not type it.",
    ),
    error(
        "401",
        "invalid_client",
        "the client secret has a character that no secret has: after mms_, a secret has only letters and digits",
        "Something else was pasted, or a character was changed on the way. Copy the secret again.",
    ),
    error(
        "401",
        "invalid_client",
        "the value of Basic has a colon: encode client_id:client_secret in base64",
        "The ERP sends the client id and the secret as they are. Its own setting for Basic encodes them; a header that you write yourself has to have them in base64.",
    ),
    error(
        "401",
        "invalid_client",
        "the value of Basic has spaces inside: send base64 of client_id:client_secret in one piece",
        "The base64 text was broken into several lines or parts. Remove the spaces and line ends.",
    ),
    error(
        "400",
        "invalid_request",
        "grant_type is missing: send grant_type=client_credentials",
        "The form does not name the grant. Add the field.",
    ),
    error(
        "400",
        "unsupported_grant_type",
        "only grant_type=client_credentials is supported",
        "The ERP is set to another grant, such as authorization_code or password. Choose client credentials.",
    ),
    error(
        "400",
        "invalid_request",
        "more than one client authentication method was used: send the secret either in the Authorization header or in the body",
        "The ERP sends the secret in two places, and they differ. Choose Basic or the body, not both.",
    ),
    error(
        "400",
        "invalid_scope",
        "leave scope out to get all that is granted",
        "The ERP asks for a product that the client is not granted; the text names it. Leave the scope empty, or have the product granted.",
    ),
    error(
        "400",
        "invalid_target",
        "the resources must be exactly the audiences of the requested scope; leave resource out to get all audiences",
        "A resource is not the audience of a granted product, byte for byte, or an audience of the requested scope is not among the resources.",
    ),
    error(
        "400",
        "unauthorized_client",
        "tokens that never expire are no longer allowed for this client: an operator must give it a finite token_expiry",
        "The workspace or a product no longer allows such tokens. An administrator has to choose an expiration for the client.",
    ),
    error(
        "404",
        "invalid_request",
        "the token endpoint is",
        "The address is not quite that of the token endpoint. The text names the right one.",
    ),
    error(
        "405",
        "invalid_request",
        "use POST",
        "The request was not a POST. Credentials never belong in an address.",
    ),
    error(
        "429",
        "temporarily_unavailable",
        "too many failed attempts with this client id from this network: wait for the seconds in Retry-After",
        "Something keeps trying with wrong credentials. Stop it first, then wait.",
    ),
    error(
        "503",
        "temporarily_unavailable",
        "the service cannot answer at the moment: wait for the seconds in Retry-After",
        "The service cannot reach its database, or has no key to sign with. Nothing is wrong with the request: repeat it later.",
    ),
];

/// What a caller gets from a service that checks its token with `/oauth2/verify`.
const VERIFY_ERRORS: [ErrorHelp; 6] = [
    error(
        "401",
        "",
        "WWW-Authenticate: Bearer, without an error",
        "No token was sent. Send Authorization: Bearer and the token.",
    ),
    error(
        "401",
        "invalid_token",
        "the token is not valid: get a new one",
        "It has expired, was revoked or is not from this service, or its client is disabled or has ended, or the workspace is suspended. Ask for a new one.",
    ),
    error(
        "401",
        "invalid_token",
        "it may have been cut when pasted",
        "The end of the token may be missing. Check that the field of the ERP is long enough, and paste it again.",
    ),
    error(
        "401",
        "invalid_token",
        "the Authorization header lacks the word Bearer before the token: send Authorization: Bearer TOKEN",
        "The token alone was sent.",
    ),
    error(
        "403",
        "insufficient_scope",
        "with the products that are missing as scope",
        "The token is valid, but does not open this product; scope names what is missing. Have it granted to the client.",
    ),
    error(
        "503",
        "",
        "with Retry-After",
        "The service cannot know at the moment whether the token is valid. Repeat the call later.",
    ),
];

/// `GET /console/help`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let issuer = &signed_in.door.issuer;
    let at = |path: &str| format!("{issuer}{path}");
    ok(&HelpPage {
        shell: signed_in.shell("How to call and verify").below("Settings", None).below("Integration", None),
        addresses: vec![
            ("Token endpoint", at("/oauth2/token")),
            ("Issuer (iss)", issuer.clone()),
            ("Published keys (JWKS)", at("/.well-known/jwks.json")),
            ("Metadata (RFC 8414)", at("/.well-known/oauth-authorization-server")),
            ("Status lists", at("/oauth2/status-lists")),
            ("Introspection", at("/oauth2/introspect")),
            ("Forward auth", at("/oauth2/verify")),
            ("API reference", at("/docs")),
        ],
        token: snippets::token(issuer),
        verify: snippets::verify(issuer),
        token_errors: &TOKEN_ERRORS,
        verify_errors: &VERIFY_ERRORS,
        issuer: issuer.clone(),
    })
}
