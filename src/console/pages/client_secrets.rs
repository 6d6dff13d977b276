//! `/console/api-clients/{id}/secrets`: lists the live secrets of a client, adds one, and deletes one. The form that adds
//! one asks how long the others stay valid.

use std::num::ParseIntError;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::client_overview::{Tab, href, shell_of, tabs};
use crate::clients::{CreatedSecret, NewSecret};
use crate::console::nonce::{Nonce, UseCase};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::reveal::ShownSecret;
use crate::console::session::{OfClient, SignedIn, Submitted};
use crate::console::stop::Stop;
use crate::console::{moment, notice, reveal_flow};
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::field_errors::FieldErrors;
use crate::model::secret::{ClientSecret, MAX_LIVE_SECRETS};

#[derive(Template)]
#[template(path = "client_secrets.html")]
struct SecretsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    label: String,
    here: String,
    can_manage: bool,
    rows: Vec<Row>,
    strip: Option<Strip>,
    is_full: bool,
    max: usize,
}

struct Row {
    secret_id: String,
    last_four: String,
    created: String,
    created_exact: String,
    ends: String,
    last_used: String,
    last_used_exact: String,
    last_used_from: String,
    used: String,
    delete_href: String,
}

/// The notice during a rotation: whether the older secrets can be deleted.
struct Strip {
    text: String,
    is_safe: bool,
}

#[derive(Template)]
#[template(path = "client_secret_new.html")]
struct NewSecretPage {
    shell: Shell,
    problems: Vec<Problem>,
    label: String,
    action: String,
    cancel: String,
    nonce: String,
    overlaps: Vec<Overlap>,
    has_secrets: bool,
    expires_at: String,
    revokes: bool,
    is_full: bool,
    max: usize,
}

struct Overlap {
    id: String,
    value: &'static str,
    name: &'static str,
    hint: &'static str,
    is_checked: bool,
}

impl NewSecretPage {
    fn has(&self, field: &str) -> bool {
        has_problem(&self.problems, field)
    }
}

#[derive(Template)]
#[template(path = "client_secret_delete.html")]
struct DeletePage {
    shell: Shell,
    label: String,
    last_four: String,
    last_used: String,
    is_only: bool,
    action: String,
    cancel: String,
}

/// For how many seconds an old secret must be unused before the page says that it can be deleted.
const QUIET_SECONDS: i64 = 3_600;

/// How long the other secrets stay valid: the seconds as the form sends them, the name and a hint. An empty value leaves the
/// others as they are.
const OVERLAPS: [(&str, &str, &str); 5] = [
    (
        "",
        "Keep the others as they are",
        "They stay valid until they end or you delete them. Safest: delete them when the new one is used.",
    ),
    ("0", "End the others now", "For a secret that leaked. Whatever uses them is refused at once."),
    ("3600", "End the others in 1 hour", ""),
    ("86400", "End the others in 1 day", ""),
    ("604800", "End the others in 7 days", ""),
];

/// `GET /console/api-clients/{id}/secrets`
pub(crate) async fn get(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let OfClient { record, inside } = signed_in.client(&path).await?;
    let now = signed_in.door.services.clock().now();
    let here = href(&signed_in, &record.client);
    let rows = record.secrets.iter().rev().map(|secret| row(secret, &here, now));
    ok(&SecretsPage {
        shell: notice::noticed(shell_of(&signed_in, &inside, &record.client, "Secrets"), &signed_in.request),
        tabs: tabs(&here, "/secrets"),
        label: record.client.label.clone(),
        can_manage: inside.can_manage,
        rows: rows.collect(),
        strip: strip(&record.secrets, now),
        is_full: record.secrets.len() >= MAX_LIVE_SECRETS,
        max: MAX_LIVE_SECRETS,
        here,
    })
}

fn row(secret: &ClientSecret, here: &str, now: UnixSeconds) -> Row {
    Row {
        last_four: secret.last_four.clone(),
        created: moment::ago(now, secret.created_at),
        created_exact: moment::exact(secret.created_at),
        ends: secret.expires_at.map_or_else(|| "Never".to_owned(), |at| moment::until(now, at)),
        last_used: secret.last_used_at.map_or_else(|| "Never".to_owned(), |at| moment::ago(now, at)),
        last_used_exact: secret.last_used_at.map(moment::exact).unwrap_or_default(),
        last_used_from: secret.last_used_from.clone().unwrap_or_default(),
        used: match secret.used_last_24h {
            0 => "Not used".to_owned(),
            times => moment::count(times, "time"),
        },
        delete_href: format!("{here}/secrets/{}/delete", secret.secret_id),
        secret_id: secret.secret_id.clone(),
    }
}

/// What the use of the newest secret and of the others says about a rotation. `None` if there are no others.
fn strip(secrets: &[ClientSecret], now: UnixSeconds) -> Option<Strip> {
    let (newest, others) = secrets.split_last().filter(|(_, others)| !others.is_empty())?;
    let last = others.iter().filter_map(|secret| Some((secret.last_used_at?, secret)));
    let last = last.max_by_key(|(at, _)| *at);
    let old = last.map_or_else(
        || "the old secret was never used".to_owned(),
        |(at, secret)| format!("the old secret was last used {}", used(secret, at, now)),
    );
    // One of two servers of an ERP may still use the old secret. So it is not enough that the new secret was used last.
    let is_quiet = last.is_none_or(|(at, _)| now - at >= QUIET_SECONDS);
    Some(match newest.last_used_at {
        None => Strip {
            text: format!("The new secret is not used yet; {old}. Wait before you delete it."),
            is_safe: false,
        },
        Some(new) if last.is_some_and(|(at, _)| at >= new) => Strip {
            text: format!("The new secret is used, but {old}. Something still uses it."),
            is_safe: false,
        },
        Some(new) if !is_quiet => Strip {
            text: format!(
                "The new secret was last used {}; {old}. Wait until the last use of the old secret is an hour ago.",
                used(newest, new, now)
            ),
            is_safe: false,
        },
        Some(new) => Strip {
            text: match newest.first_used_at {
                Some(first) => format!(
                    "The new secret was first used {} and last used {}; {old}: safe to delete.",
                    moment::ago(now, first),
                    used(newest, new, now)
                ),
                None => {
                    format!("The new secret was last used {}; {old}: safe to delete.", used(newest, new, now))
                }
            },
            is_safe: true,
        },
    })
}

/// `3 hours ago from 203.0.113.7`
fn used(secret: &ClientSecret, at: UnixSeconds, now: UnixSeconds) -> String {
    let from = secret.last_used_from.as_deref().map(|from| format!(" from {from}")).unwrap_or_default();
    format!("{}{from}", moment::ago(now, at))
}

/// `GET /console/api-clients/{id}/secrets/new`
pub(crate) async fn get_new(signed_in: SignedIn, path: Path<String>) -> Result<HttpResponse, Stop> {
    let of_client = signed_in.client(&path).await?;
    of_client.inside.manager()?;
    let nonce = Nonce::new(&signed_in, UseCase::AddSecret)?;
    let typed = Typed { overlap: String::new(), expires_at: String::new(), revokes: false };
    ok(&new_page(&signed_in, &of_client, &nonce, &typed, Vec::new()))
}

struct Typed {
    overlap: String,
    expires_at: String,
    revokes: bool,
}

/// `POST /console/api-clients/{id}/secrets/new`
pub(crate) async fn post_new(sent: Submitted, path: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let of_client = signed_in.client(&path).await?;
    let manager = of_client.inside.manager()?;
    let nonce = reveal_flow::nonce_of(&signed_in, form.one("nonce"), UseCase::AddSecret)?;
    let typed = Typed {
        overlap: form.one("overlap").to_owned(),
        expires_at: form.trimmed("expires_at").to_owned(),
        revokes: form.has("revoke_tokens"),
    };
    let Ok(others_end_after) = seconds(&typed.overlap) else {
        let problems = vec![Problem::of("overlap", "Select how long the other secrets stay valid.")];
        let page_again = new_page(&signed_in, &of_client, &nonce, &typed, problems);
        return page(StatusCode::UNPROCESSABLE_ENTITY, &page_again);
    };
    let wanted = NewSecret {
        expires_at: Some(typed.expires_at.as_str())
            .filter(|text| !text.is_empty())
            .map(|text| if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() }),
        expire_others_after_seconds: others_end_after,
        revoke_tokens: typed.revokes.then_some(true),
        parse_errors: FieldErrors::default(),
    };
    let client = &of_client.record.client;
    let overlap = wanted.expire_others_after_seconds.filter(|_| !of_client.record.secrets.is_empty());
    let render = |created: &CreatedSecret| ShownSecret::of(client, created, overlap).bytes();
    let subject = |_: &CreatedSecret| client.client_id.clone();
    let clients = &signed_in.door.services.clients;
    let made = reveal_flow::once(&signed_in, &manager, &nonce, &render, &subject, async |save| {
        clients.add_secret(&manager, &client.client_id, &wanted, Some(save)).await
    });
    let problems = match made.await {
        Ok(shown) => return Ok(shown),
        Err(Error::Invalid(errors)) => errors
            .iter()
            .map(|error| match error.pointer.as_str() {
                "/expires_at" => {
                    Problem::of("expires_at", format!("The end of the new secret {}", error.detail))
                }
                _ => Problem::of("overlap", format!("How long the others stay valid {}", error.detail)),
            })
            .collect(),
        // There is only one kind of conflict here: the client has too many secrets.
        Err(Error::Conflict(_)) => vec![Problem::of("overlap", full())],
        Err(error) => return Err(error.into()),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&signed_in, &of_client, &nonce, &typed, problems))
}

/// After how many seconds the other secrets end, as the form sends it. `None` for an empty text: they do not change.
fn seconds(overlap: &str) -> Result<Option<i64>, ParseIntError> {
    if overlap.is_empty() { Ok(None) } else { overlap.parse().map(Some) }
}

fn full() -> String {
    format!(
        "This client has {MAX_LIVE_SECRETS} live secrets, which is the maximum. Delete one first, or end the others now"
    )
}

fn new_page(
    signed_in: &SignedIn,
    of_client: &OfClient,
    nonce: &Nonce,
    typed: &Typed,
    problems: Vec<Problem>,
) -> NewSecretPage {
    let OfClient { record, inside } = of_client;
    let here = href(signed_in, &record.client);
    let overlaps = OVERLAPS.iter().enumerate().map(|(index, (value, name, hint))| Overlap {
        id: if index == 0 { "overlap".to_owned() } else { format!("overlap-{index}") },
        value,
        name,
        hint,
        is_checked: typed.overlap == *value,
    });
    let shell = shell_of(signed_in, inside, &record.client, "Add a new secret");
    NewSecretPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        label: record.client.label.clone(),
        action: format!("{here}/secrets/new"),
        cancel: format!("{here}/secrets"),
        nonce: nonce.as_str().to_owned(),
        overlaps: overlaps.collect(),
        has_secrets: !record.secrets.is_empty(),
        expires_at: typed.expires_at.clone(),
        revokes: typed.revokes,
        is_full: record.secrets.len() >= MAX_LIVE_SECRETS,
        max: MAX_LIVE_SECRETS,
    }
}

/// `GET /console/api-clients/{id}/secrets/{secret_id}/delete`
pub(crate) async fn get_delete(
    signed_in: SignedIn,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Stop> {
    let (client_id, secret_id) = path.into_inner();
    let OfClient { record, inside } = signed_in.client(&client_id).await?;
    inside.manager()?;
    let secret = record.secrets.iter().find(|secret| secret.secret_id == secret_id);
    let secret = secret.ok_or_else(Stop::not_found)?;
    let here = href(&signed_in, &record.client);
    let now = signed_in.door.services.clock().now();
    ok(&DeletePage {
        shell: shell_of(&signed_in, &inside, &record.client, "Delete a secret"),
        label: record.client.label.clone(),
        last_four: secret.last_four.clone(),
        last_used: secret.last_used_at.map(|at| moment::ago(now, at)).unwrap_or_default(),
        is_only: record.secrets.len() == 1,
        action: format!("{here}/secrets/{secret_id}/delete"),
        cancel: format!("{here}/secrets"),
    })
}

/// `POST /console/api-clients/{id}/secrets/{secret_id}/delete`
pub(crate) async fn post_delete(sent: Submitted, path: Path<(String, String)>) -> Result<HttpResponse, Stop> {
    let signed_in = sent.signed_in;
    let (client_id, secret_id) = path.into_inner();
    let OfClient { record, inside } = signed_in.client(&client_id).await?;
    let clients = &signed_in.door.services.clients;
    // `true` deletes the last secret too: the confirmation page has said what that means.
    clients.delete_secret(&inside.manager()?, &record.client.client_id, &secret_id, true).await?;
    Ok(see_other(&format!("{}/secrets?done=secret-deleted", href(&signed_in, &record.client))))
}
