//! `/console/signing-keys`: the keys that sign tokens, each with its phase and the number of live tokens that depend on it.
//! Platform administrators make new keys here, and delete keys.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use crate::console::form::Form;
use crate::console::moment::{self, count};
use crate::console::page::{Problem, Shell, has_problem, ok, page, see_other};
use crate::console::session::{SignedIn, Submitted};
use crate::console::sign_in::again::must_be_fresh;
use crate::console::stop::Stop;
use crate::console::{members, notice};
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::key::{Alg, Phase, UseFor};
use crate::model::page::Page;
use crate::signing::{GENERATES_RSA, KeyRecord, NewSigningKey};

const FIELDS: [members::Field; 2] =
    [members::field("alg", "Algorithm"), members::field("use_for", "What it signs")];

#[derive(Template)]
#[template(path = "key_list.html")]
struct ListPage {
    shell: Shell,
    here: String,
    classes: Vec<Class>,
}

/// The keys that sign one class of tokens: those that expire, or those that never do.
struct Class {
    heading: &'static str,
    about: String,
    rows: Vec<Row>,
}

struct Row {
    kid: String,
    alg: &'static str,
    phase: &'static str,
    tone: &'static str,
    means: String,
    age: String,
    created: String,
    live_tokens: i64,
    delete_href: String,
}

#[derive(Template)]
#[template(path = "key_new.html")]
struct NewPage {
    shell: Shell,
    problems: Vec<Problem>,
    here: String,
    algs: Vec<(&'static str, bool)>,
    has_rsa: bool,
    never: bool,
    pending: String,
}

#[derive(Template)]
#[template(path = "key_delete.html")]
struct DeletePage {
    shell: Shell,
    problems: Vec<Problem>,
    action: String,
    back: String,
    kid: String,
    version: i64,
    phase: &'static str,
    /// Whether tokens may depend on the key.
    may_have_signed: bool,
    is_replaced: bool,
    never: bool,
    tokens: String,
}

/// `GET /console/signing-keys`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let keys = all(&signed_in).await?;
    let now = signed_in.door.services.clock().now();
    let here = signed_in.door.href("/signing-keys");
    let class = |use_for: UseFor, heading, about: String| Class {
        heading,
        about,
        rows: keys.iter().filter(|k| k.key.use_for == use_for).map(|k| row(k, &here, now)).collect(),
    };
    let classes = vec![
        class(
            UseFor::Expiring,
            "For tokens that expire",
            match signed_in.door.services.policy().key_rotate_every_days {
                Some(days) => format!("Replaced after {}, or earlier by hand.", count(days, "day")),
                None => "Replaced by hand only: keys.rotate_every_days is off.".to_owned(),
            },
        ),
        class(
            UseFor::NeverExpiring,
            "For tokens that never expire",
            "Replaced by hand only. An old key stays published as long as one of its tokens is valid."
                .to_owned(),
        ),
    ];
    ok(&ListPage {
        shell: notice::noticed(signed_in.shell("Signing keys").below("Settings", None), &signed_in.request),
        here,
        classes,
    })
}

async fn all(signed_in: &SignedIn) -> Result<Vec<KeyRecord>, Stop> {
    let reader = signed_in.platform().await?;
    // One page has them all: there are few, because keys that are no longer needed are gone.
    Ok(signed_in.door.services.signing.signing_keys(&reader, &Page::first(Page::MAX_LIMIT)).await?.items)
}

fn row(record: &KeyRecord, here: &str, now: UnixSeconds) -> Row {
    let KeyRecord { key, live_tokens } = record;
    let (phase, tone, means) = match key.phase {
        Phase::Pending => (
            "Pending",
            "info",
            format!(
                "published, signs {} ({})",
                moment::until(now, key.activates_at),
                moment::exact(key.activates_at)
            ),
        ),
        Phase::Active => ("Active", "ok", format!("signing since {}", moment::day(key.activates_at))),
        Phase::Retiring | Phase::Gone => {
            let since = key.retired_at.map(moment::day).unwrap_or_default();
            (
                "Retiring",
                "warn",
                format!("stopped signing on {since}; published until its last token has ended"),
            )
        }
    };
    Row {
        kid: key.kid.clone(),
        alg: key.alg.as_str(),
        phase,
        tone,
        means,
        age: moment::ago(now, key.created_at),
        created: moment::exact(key.created_at),
        live_tokens: *live_tokens,
        delete_href: format!("{here}/{}/delete", key.kid),
    }
}

/// `GET /console/signing-keys/new`
pub(crate) async fn get_new(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    signed_in.platform().await?;
    must_be_fresh(&signed_in)?;
    let policy = signed_in.door.services.policy();
    let typed = Form::from([("alg", policy.signing_alg.as_str()), ("use_for", "expiring")]);
    ok(&new_page(&signed_in, &typed, Vec::new()))
}

/// `POST /console/signing-keys/new`
pub(crate) async fn post_new(sent: Submitted) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    must_be_fresh(&signed_in)?;
    let new = NewSigningKey {
        alg: Some(form.one("alg").to_owned()).into(),
        use_for: Some(form.one("use_for").to_owned()).into(),
        ..NewSigningKey::default()
    };
    let (status, problem) =
        match signed_in.door.services.signing.create_signing_key(&manager, &new, None).await {
            Ok(_) => return Ok(see_other(&signed_in.door.href("/signing-keys?done=key-created"))),
            Err(Error::Invalid(errors)) => {
                let problems = members::problems(&errors, &FIELDS, &form);
                return page(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&signed_in, &form, problems));
            }
            Err(Error::Conflict(why)) => (StatusCode::CONFLICT, Problem::general(why)),
            Err(error) => return Err(error.into()),
        };
    page(status, &new_page(&signed_in, &form, vec![problem]))
}

fn new_page(signed_in: &SignedIn, typed: &Form, problems: Vec<Problem>) -> NewPage {
    let here = signed_in.door.href("/signing-keys");
    let shell =
        signed_in.shell("Rotate a signing key").below("Settings", None).below("Signing keys", here.clone());
    let offered = Alg::ALL.into_iter().filter(|alg| GENERATES_RSA || !alg.is_rsa());
    NewPage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        here,
        algs: offered.map(|alg| (alg.as_str(), alg.as_str() == typed.one("alg"))).collect(),
        has_rsa: GENERATES_RSA,
        never: typed.one("use_for") == "never_expiring",
        pending: moment::span(signed_in.door.services.policy().key_pending_seconds),
    }
}

/// `GET /console/signing-keys/{kid}/delete`
pub(crate) async fn get_delete(signed_in: SignedIn, kid: Path<String>) -> Result<HttpResponse, Stop> {
    let record = find(&signed_in, &kid).await?;
    must_be_fresh(&signed_in)?;
    ok(&delete_page(&signed_in, &record, Vec::new()))
}

/// `POST /console/signing-keys/{kid}/delete`
pub(crate) async fn post_delete(sent: Submitted, kid: Path<String>) -> Result<HttpResponse, Stop> {
    let Submitted { signed_in, form } = sent;
    let manager = signed_in.platform_manager().await?;
    let record = find(&signed_in, &kid).await?;
    must_be_fresh(&signed_in)?;
    let revokes = may_have_signed(&record, signed_in.door.services.clock().now());
    if revokes && !form.has("revoke") {
        let problem = Problem::of("revoke", "Tick the box: deleting this key ends its tokens.");
        return page(StatusCode::UNPROCESSABLE_ENTITY, &delete_page(&signed_in, &record, vec![problem]));
    }
    let signing = &signed_in.door.services.signing;
    match signing.delete_signing_key(&manager, &kid, revokes, &form.version()).await {
        Ok(_) => Ok(see_other(&signed_in.door.href("/signing-keys?done=key-deleted"))),
        // The key changed while the page was open: for example, it began to sign.
        Err(Error::Conflict(_) | Error::Changed) => Err(Stop::new(
            StatusCode::CONFLICT,
            "Something changed while the page was open",
            "The key is in another phase by now, so nothing was deleted. Open the page again and look at what would end.",
        )
        .then(format!("{}/{}/delete", signed_in.door.href("/signing-keys"), record.key.kid), "Open the page again")),
        Err(error) => Err(error.into()),
    }
}

async fn find(signed_in: &SignedIn, kid: &str) -> Result<KeyRecord, Stop> {
    let reader = signed_in.platform().await?;
    Ok(signed_in.door.services.signing.signing_key(&reader, kid).await?)
}

/// Whether tokens may depend on a key. Clocks differ, so another process may sign with it up to a minute before `activates_at`.
fn may_have_signed(record: &KeyRecord, now: UnixSeconds) -> bool {
    record.key.phase != Phase::Pending || record.key.activates_at <= now + 60
}

fn delete_page(signed_in: &SignedIn, record: &KeyRecord, problems: Vec<Problem>) -> DeletePage {
    let back = signed_in.door.href("/signing-keys");
    let shell =
        signed_in.shell("Delete a signing key").below("Settings", None).below("Signing keys", back.clone());
    let key = &record.key;
    DeletePage {
        shell: Shell { has_errors: !problems.is_empty(), ..shell },
        problems,
        action: format!("{back}/{}/delete", key.kid),
        back,
        kid: key.kid.clone(),
        version: key.version,
        phase: key.phase.as_str(),
        may_have_signed: may_have_signed(record, signed_in.door.services.clock().now()),
        is_replaced: key.phase == Phase::Active && (GENERATES_RSA || !key.alg.is_rsa()),
        never: key.use_for == UseFor::NeverExpiring,
        tokens: count(record.live_tokens, "recorded token"),
    }
}
