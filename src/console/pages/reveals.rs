//! `/console/reveals/{nonce}`: the secret or token that a form created. Reload, Back and a second tab show it again, until the
//! operator confirms with *I have stored it*, or ten minutes have passed.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Path, Query};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use crate::console::checks::{self, Check};
use crate::console::guides::{self, Guide, Values};
use crate::console::moment;
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Shell, ok, page, see_other};
use crate::console::reveal::{Shown, ShownClient, ShownSecret, ShownToken};
use crate::console::reveal_flow;
use crate::console::session::{OfClient, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::kernel::Error;
use crate::ledger::{GivenAs, Reveal, SHOWN_SECONDS};

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// If not empty, the page also shows what a token request with the new secret would get.
    test: String,
}

#[derive(Template)]
#[template(path = "reveal_secret.html")]
struct SecretPage {
    shell: Shell,
    heading: String,
    lead: String,
    here: String,
    client_href: String,
    client_id: String,
    secret: String,
    token_url: String,
    curl: String,
    guides: Vec<Guide>,
    shown_until: String,
    length: Option<usize>,
    pastes: bool,
    live: super::client_live::Live,
    checks: Vec<Check>,
    verdict: (&'static str, &'static str),
}

#[derive(Template)]
#[template(path = "reveal_token.html")]
struct TokenPage {
    shell: Shell,
    here: String,
    client_href: String,
    token: String,
    length: usize,
    lead: String,
    claims: Vec<Claim>,
    call: String,
    shown_until: String,
}

/// A claim of the token: its name, its value, and what it means in plain words.
struct Claim {
    name: String,
    value: String,
    means: String,
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct WaitingPage {
    shell: Shell,
}

/// `GET /console/reveals/{nonce}`
pub(crate) async fn get(
    signed_in: SignedIn,
    path: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let (nonce, of_client, shown, until) = match find(&signed_in, &path, GivenAs::Page).await? {
        Found::Shown { nonce, of_client, shown, until } => (nonce, *of_client, *shown, until),
        Found::Running => {
            let shell = Shell { reload_seconds: Some(2), ..signed_in.shell("One moment") };
            return ok(&WaitingPage { shell });
        }
    };
    let here = reveal_flow::href(&signed_in, &nonce);
    match shown {
        Shown::Client(made) => {
            let lead =
                format!("{} is created. Its client secret is below, and is shown only here.", made.label);
            let once = Once { secret: made.secret, kind: made.kind, pastes: made.pastes, lead };
            secret_page(&signed_in, of_client, once, &here, until, !asked.test.is_empty()).await
        }
        Shown::Secret(made) => {
            let others = made.others_end_after.map_or_else(String::new, |seconds| {
                if seconds == 0 {
                    " The other secrets are refused from now on.".to_owned()
                } else {
                    format!(" The other secrets stay valid for {}.", moment::span(seconds))
                }
            });
            let lead = format!("The new secret of {} is below, and is shown only here.{others}", made.label);
            let once = Once { secret: made.secret, kind: String::new(), pastes: false, lead };
            secret_page(&signed_in, of_client, once, &here, until, !asked.test.is_empty()).await
        }
        Shown::Token(made) => token_page(&signed_in, &of_client, made, here, until),
    }
}

/// `GET /console/reveals/{nonce}/download`: the secret or the token as a text file.
pub(crate) async fn download(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Found::Shown { shown, .. } = find(&signed_in, &path, GivenAs::Download).await? else {
        return Err(Stop::not_found());
    };
    let token_url = token_url(&signed_in);
    let (name, text) = match &*shown {
        Shown::Client(ShownClient { client_id, secret, .. })
        | Shown::Secret(ShownSecret { client_id, secret, .. }) => (
            "secret",
            format!("Token address: {token_url}\nClient id: {client_id}\nClient secret: {secret}\n"),
        ),
        Shown::Token(ShownToken { token, .. }) => ("token", format!("{token}\n")),
    };
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"mintmark-{name}.txt\"")))
        .body(text))
}

/// `POST /console/reveals/{nonce}/stored`
pub(crate) async fn stored(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let Named { nonce, of_client, reveal } = named(&signed_in, &path).await?;
    let ledger = &signed_in.door.services.ledger;
    let reader = &of_client.inside.reader;
    if let Reveal::Shown { .. } = reveal {
        ledger.erase_reveal(&ledger.reveal_request(reader, nonce.use_case.as_str(), nonce.as_str())).await?;
    }
    let client = signed_in.door.href(&format!("/api-clients/{}", of_client.record.client.client_id));
    Ok(see_other(&match (nonce.use_case, sent.form.one("next")) {
        (UseCase::GenerateToken, _) => format!("{client}/tokens?done=token-stored"),
        (_, "token") => format!("{client}/tokens/new?done=stored"),
        (UseCase::AddSecret, _) => format!("{client}/secrets?done=stored"),
        _ => format!("{client}?done=stored"),
    }))
}

/// What is at the address, for an operator who may see it.
struct Named {
    nonce: Nonce,
    of_client: OfClient,
    reveal: Reveal,
}

enum Found {
    Shown {
        nonce: Nonce,
        of_client: Box<OfClient>,
        shown: Box<Shown>,
        until: i64,
    },
    /// The work of the form is still running.
    Running,
}

/// What is at the address: only for the operator who made it, in the same session, while they may manage the client. For
/// anybody else it is 404.
async fn named(signed_in: &SignedIn, text: &str) -> Result<Named, Stop> {
    let nonce = Nonce::read(signed_in, text).ok_or_else(Stop::not_found)?;
    let anyone = signed_in.anywhere().await?;
    let reveal = reveal_flow::find(signed_in, &anyone, &nonce).await?;
    let (Reveal::Shown { subject, .. } | Reveal::Erased { subject, .. }) = &reveal else {
        return Err(Stop::not_found());
    };
    let of_client = signed_in.client(subject).await?;
    if !of_client.inside.can_manage {
        return Err(Stop::not_found());
    }
    Ok(Named { nonce, of_client, reveal })
}

/// Opens what is at the address. The audit trail records each time.
async fn find(signed_in: &SignedIn, text: &str, shown_as: GivenAs) -> Result<Found, Stop> {
    if Nonce::read(signed_in, text).is_some() && signed_in.door.turns.is_running(text) {
        return Ok(Found::Running);
    }
    let Named { nonce, of_client, reveal } = named(signed_in, text).await?;
    let client = signed_in.door.href(&format!("/api-clients/{}", of_client.record.client.client_id));
    match reveal {
        Reveal::Shown { sealed, made_at, .. } => {
            let unreadable = || Error::Crypto("the sealed secret, token or link cannot be read".to_owned());
            let read = async |bytes: &[u8]| Shown::read(bytes).ok_or_else(unreadable);
            let ledger = &signed_in.door.services.ledger;
            let shown = ledger.show(&of_client.inside.reader, &sealed, shown_as, read).await?;
            let until = made_at.saturating_add(SHOWN_SECONDS);
            Ok(Found::Shown { nonce, of_client: Box::new(of_client), shown: Box::new(shown), until })
        }
        Reveal::Erased { at, is_confirmed, .. } => {
            let what = if nonce.use_case == UseCase::GenerateToken { "token" } else { "secret" };
            let at = moment::clock(at);
            let heading = if is_confirmed { format!("Confirmed at {at}") } else { format!("Erased at {at}") };
            let why = if is_confirmed {
                format!("You said that the {what} is stored, so it was erased here.")
            } else {
                format!("A {what} is shown for ten minutes, and then erased here.")
            };
            let (next, name) = match nonce.use_case {
                UseCase::GenerateToken => (format!("{client}/tokens/new"), "Generate another token"),
                _ => (format!("{client}/secrets/new"), "Add a new secret"),
            };
            let text = match nonce.use_case {
                UseCase::GenerateToken => {
                    format!("{why} Not stored? Generate another token, and revoke this one.")
                }
                _ => format!("{why} Not stored? Add a new secret."),
            };
            Err(Stop::gone(heading, text).then(next, name))
        }
        Reveal::None => Err(Stop::not_found()),
    }
}

fn token_url(signed_in: &SignedIn) -> String {
    format!("{}/oauth2/token", signed_in.door.issuer)
}

/// A secret to show, of a new client or added to a client.
struct Once {
    secret: String,
    kind: String,
    pastes: bool,
    lead: String,
}

async fn secret_page(
    signed_in: &SignedIn,
    of_client: OfClient,
    once: Once,
    here: &str,
    until: i64,
    tests: bool,
) -> Result<HttpResponse, Stop> {
    let live = super::client_live::live(signed_in, &of_client).await?;
    let OfClient { record, inside } = of_client;
    let services = &signed_in.door.services;
    let client_id = record.client.client_id.clone();
    let checks = if tests {
        checks::of(&services.issuer.rehearse(&inside.manager()?, &client_id, &once.secret).await?)
    } else {
        Vec::new()
    };
    let token_url = token_url(signed_in);
    let values = Values { token_url: &token_url, client_id: &client_id, secret: &once.secret };
    let client_href = signed_in.door.href(&format!("/api-clients/{client_id}"));
    let shell = super::client_overview::shell_of(signed_in, &inside, &record.client, "Client secret");
    ok(&SecretPage {
        heading: "Store the client secret now".to_owned(),
        lead: once.lead,
        curl: guides::curl_text(&values),
        guides: guides::all(&values, &once.kind),
        length: services.issuer.token_length(&inside.reader, &client_id).await?,
        shown_until: moment::clock(until),
        live,
        verdict: checks::verdict(&checks),
        checks,
        pastes: once.pastes,
        secret: once.secret,
        here: here.to_owned(),
        client_href,
        client_id,
        token_url,
        shell,
    })
}

fn token_page(
    signed_in: &SignedIn,
    of_client: &OfClient,
    made: ShownToken,
    here: String,
    until: i64,
) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = of_client;
    let lead = match made.expires_in {
        None => "It never expires. It is valid until you revoke it.".to_owned(),
        Some(seconds) => format!("It is valid for {}.", moment::span(seconds)),
    };
    page(
        StatusCode::OK,
        &TokenPage {
            shell: super::client_overview::shell_of(signed_in, inside, &record.client, "Access token"),
            client_href: signed_in.door.href(&format!("/api-clients/{}", record.client.client_id)),
            length: made.token.len(),
            claims: claims(&made.token, made.expires_in),
            call: format!("Authorization: Bearer {}", made.token),
            token: made.token,
            lead,
            here,
            shown_until: moment::clock(until),
        },
    )
}

/// The claims of a token, decoded.
fn claims(token: &str, expires_in: Option<i64>) -> Vec<Claim> {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let Some(Value::Object(members)) = payload.and_then(|json| serde_json::from_slice(&json).ok()) else {
        return Vec::new();
    };
    let instant = |value: &Value| value.as_i64().map(moment::exact).unwrap_or_default();
    let means = |name: &str, value: &Value| match name {
        "iss" => "who issued it: this service".to_owned(),
        "sub" | "client_id" => "the API client".to_owned(),
        "aud" => "the services that may accept it".to_owned(),
        "exp" if expires_in.is_none() => {
            "never expires: a date far away, for programs that need one".to_owned()
        }
        "iat" | "exp" => instant(value),
        "jti" => "its id, by which it is revoked".to_owned(),
        "scope" | "products" => "the products it opens".to_owned(),
        "workspace_id" => "the workspace".to_owned(),
        "never_expires" => "it is valid until it is revoked".to_owned(),
        "status" => "where services read whether it was revoked".to_owned(),
        _ => String::new(),
    };
    let claim = |(name, value): (String, Value)| Claim {
        means: means(&name, &value),
        value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        name,
    };
    members.into_iter().map(claim).collect()
}
