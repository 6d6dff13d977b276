//! Use cases answered by a running server, over its management API.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;

use super::routes::{self, Route};
use super::use_case::{List, UseCase};
use crate::cli::Failure;
use crate::cli::http::client;
use crate::cli::refusal::Refusal;
use crate::config::PublicUrl;
use crate::model::page::{Items, Page};
use crate::vault::random::Random;

/// The header that says how many tokens a deletion revoked.
const REVOKED_TOKENS: &str = "mintmark-revoked-tokens";

/// The variable that holds the access token.
const TOKEN_VARIABLE: &str = "MINTMARK_TOKEN";

const HOW_TO_GET_A_TOKEN: &str = "Get one from POST /oauth2/token of the server: authenticate with the id and the secret of an \
     API client that has the permission mintmark:manage, and send scope=mintmark:manage (mintmark:read is enough to list and \
     show)";

/// Appended if a request that changes something may have reached the server.
const UNKNOWN: &str = ". It is not known whether the server did it: check that before you repeat the command";

/// The URL of a server.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Address(PublicUrl);

impl Address {
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, Failure> {
        PublicUrl::parse(text.trim_end_matches('/')).map(Self).map_err(|_| {
            Failure::Usage(
                "--remote: write the https URL of the server, like https://tokens.example.com, without user name, query \
                 and fragment; http only for this machine"
                    .to_owned(),
            )
        })
    }

    pub(in crate::cli) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(in crate::cli) fn client(&self) -> Result<Client, Failure> {
        client(self.0.is_loopback())
    }
}

/// A server, and the token to call it with.
pub(in crate::cli) struct Remote {
    http: Client,
    address: Address,
    authorization: HeaderValue,
}

impl Remote {
    pub(super) fn new(address: Address, token_file: Option<&Path>) -> Result<Self, Failure> {
        let authorization = authorization(&read_token(token_file)?)?;
        Ok(Self { http: address.client()?, address, authorization })
    }

    /// A page of a list.
    pub(super) async fn page(&self, list: &List, page: Page) -> Result<Items<Value>, Failure> {
        let mut answer = self.send(routes::of_list(list, page)).await?;
        let next_after = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        let total = answer.get("total").and_then(Value::as_u64);
        match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(Items { items, next_after, total }),
            _ => Err(self.not_mintmark("its answer has no member `items`")),
        }
    }

    /// The answer to a use case: the record; the number of tokens that a change revoked, if the server says it; else `null`.
    pub(super) async fn answer(&self, use_case: UseCase) -> Result<Value, Failure> {
        self.send(routes::of(use_case)).await
    }

    async fn send(&self, route: Route) -> Result<Value, Failure> {
        let url = self.url(&route)?;
        let mut request = self.http.request(route.method.clone(), url);
        request = request.header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = &route.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        if route.is_repeatable && route.method == Method::POST {
            // With this key, a repeated request that creates something gets the reply to the first one, so that no secret is
            // lost if a connection breaks.
            let key: [u8; 16] = Random::new().fill().map_err(|error| Failure::Fault(error.to_string()))?;
            request = request.header("Idempotency-Key", URL_SAFE_NO_PAD.encode(key));
        }
        // Other changes are sent once: if the first DELETE was executed, a second one would report that nothing is there.
        let again = request.try_clone().filter(|_| route.is_repeatable);
        let reply = match (request.send().await, again) {
            (Err(error), Some(again)) if !error.is_connect() && !error.is_timeout() => again.send().await,
            (outcome, _) => outcome,
        };
        let reply = reply.map_err(|error| self.broken(&route.method, &error))?;
        self.read(&route.method, reply).await
    }

    fn url(&self, route: &Route) -> Result<Url, Failure> {
        let broken = || Failure::Usage("--remote: this is not the URL of a server".to_owned());
        let mut url = Url::parse(self.address.as_str()).map_err(|_| broken())?;
        // Empty segments, `.` and `..` have a special meaning in URLs, so they cannot be sent as an id.
        if let Some(id) = route.path.iter().find(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return Err(Failure::Fault(format!("there is nothing with the id {id:?}")));
        }
        url.path_segments_mut().map_err(|()| broken())?.pop_if_empty().push("v1").extend(&route.path);
        if !route.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&route.query);
        }
        Ok(url)
    }

    async fn read(&self, method: &Method, reply: Response) -> Result<Value, Failure> {
        let status = reply.status();
        let location = reply.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let revoked =
            reply.headers().get(REVOKED_TOKENS).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let body = reply.bytes().await.map_err(|error| self.broken(method, &error))?;
        if status == StatusCode::NO_CONTENT {
            return Ok(revoked.into());
        }
        let document: Option<Value> = serde_json::from_slice(&body).ok();
        if status.is_success() {
            return document.ok_or_else(|| self.not_mintmark("its answer is not JSON"));
        }
        match document.filter(|document| document.get("title").is_some() && document.get("detail").is_some())
        {
            Some(problem) if status == StatusCode::UNAUTHORIZED => {
                Err(Refusal::from_problem(problem).advise(HOW_TO_GET_A_TOKEN).into())
            }
            Some(problem) => Err(Refusal::from_problem(problem).into()),
            None if status.is_redirection() => Err(self.not_mintmark(&format!(
                "it redirects to {}, which is not followed",
                location.as_deref().unwrap_or("another place")
            ))),
            None => Err(self.not_mintmark(&format!("it answers {status}"))),
        }
    }

    fn broken(&self, method: &Method, error: &reqwest::Error) -> Failure {
        // Only the innermost cause: the outer ones contain the URL of the request, with ids and a cursor, and the message names
        // the server already.
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
        let unknown = if *method == Method::GET || error.is_connect() { "" } else { UNKNOWN };
        Failure::Fault(format!("{}: {why}{unknown}", self.address.as_str()))
    }

    fn not_mintmark(&self, why: &str) -> Failure {
        Failure::Fault(format!(
            "{}: {why}. Is this the URL of the management API (server.management_url, else server.public_url)?",
            self.address.as_str()
        ))
    }
}

/// The token from the file, else from the environment. Never from an argument, which every user of a machine can read.
fn read_token(file: Option<&Path>) -> Result<String, Failure> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            Failure::Usage(format!(
                "--token-file {}: {error}. Give a file that holds an access token",
                path.display()
            ))
        })?,
        None => std::env::var(TOKEN_VARIABLE).unwrap_or_default(),
    };
    let token = text.trim();
    if token.is_empty() {
        let place = file.map_or_else(
            || format!("set {TOKEN_VARIABLE}, or name a file with --token-file"),
            |path| format!("{} is empty", path.display()),
        );
        return Err(Failure::Usage(format!("--remote needs an access token: {place}. {HOW_TO_GET_A_TOKEN}")));
    }
    Ok(token.to_owned())
}

fn authorization(token: &str) -> Result<HeaderValue, Failure> {
    let is_token = token.bytes().all(|b| b.is_ascii_graphic());
    let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token);
    let mut header = header.ok_or_else(|| {
        Failure::Usage(
            "the access token has characters that no token has: give only the value of access_token"
                .to_owned(),
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_https_url_or_an_http_url_on_this_machine() {
        for good in [
            "https://tokens.example.com",
            "https://tokens.example.com/",
            "https://x.example/eu",
            "http://127.0.0.1:8080",
        ] {
            assert_eq!(Address::parse(good).unwrap().as_str(), good.trim_end_matches('/'));
        }
        for bad in [
            "http://tokens.example.com",
            "tokens.example.com",
            "https://a:b@x.example",
            "https://x.example/?a",
            "ftp://x",
        ] {
            assert!(matches!(Address::parse(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_token_is_one_word_and_is_not_shown() {
        assert!(authorization("a b").is_err() && authorization("{\"access_token\":\"a\"}\n").is_err());
        let header = authorization("eyJ.a.b").unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
    }
}
