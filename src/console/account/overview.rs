//! `GET /console/account`

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::device::device;
use super::super::moment::{ago, exact};
use super::super::page::{Shell, page};
use super::super::session::SignedIn;
use super::super::sign_in::oidc::links::{self, ProviderLink};
use super::super::sign_in::why_no_passkeys;
use super::super::stop::Stop;
use super::has;
use crate::model::clock::UnixSeconds;
use crate::model::operator::{StoredSession, Way};
use crate::operators::WaysIn;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    shell: Shell,
    name: &'a str,
    email: &'a str,
    role_provider: Option<&'a str>,
    advice: Vec<&'static str>,
    no_passkeys: Option<String>,
    passkeys: Vec<PasskeyRow>,
    has_password: bool,
    can_remove_password: bool,
    password: String,
    has_authenticator: bool,
    authenticator: String,
    codes: String,
    identities: Vec<IdentityRow>,
    providers: Vec<ProviderLink>,
    sessions: Vec<SessionRow>,
}

struct PasskeyRow {
    name: String,
    added: String,
    last_used: String,
    href: String,
}

struct IdentityRow {
    provider: String,
    issuer: String,
    subject: String,
    last_used: String,
}

struct SessionRow {
    device: String,
    place: String,
    since: String,
    way: &'static str,
    last_used: String,
    is_this: bool,
    end: String,
}

/// `GET /console/account`
pub(crate) async fn get(signed_in: SignedIn) -> Result<HttpResponse, Stop> {
    let (door, session) = (&signed_in.door, &signed_in.session);
    let now = door.services.clock().now();
    let ways = door.services.operators.ways_in(session).await?;
    let sessions = door.services.operators.sessions_of(session).await?;
    let (has_password, has_authenticator) = (has(&signed_in, Way::Password), has(&signed_in, Way::Totp));
    let since = |at: Option<UnixSeconds>, none: &str| {
        at.map_or(none.to_owned(), |at| format!("Set up {}", ago(now, at)))
    };
    let account = AccountPage {
        shell: signed_in.shell("Your account"),
        name: &session.operator.name,
        email: &session.operator.email,
        role_provider: session.operator.role_provider(),
        advice: advice(&ways, has_authenticator),
        no_passkeys: why_no_passkeys(door),
        passkeys: ways
            .passkeys
            .iter()
            .map(|passkey| PasskeyRow {
                name: passkey.name.clone(),
                added: ago(now, passkey.created_at),
                last_used: used(now, passkey.last_used_at),
                href: door
                    .href(&format!("/account/passkeys/{}", URL_SAFE_NO_PAD.encode(&passkey.credential_id))),
            })
            .collect(),
        has_password,
        can_remove_password: !ways.passkeys.is_empty() || !ways.identities.is_empty(),
        password: since(ways.password_set_at, "Not set"),
        has_authenticator,
        authenticator: since(ways.totp_confirmed_at, "Not set up"),
        codes: format!("{} left of 10", ways.recovery_codes),
        identities: ways
            .identities
            .iter()
            .map(|identity| IdentityRow {
                provider: identity.provider.clone(),
                issuer: identity.issuer.clone(),
                subject: identity.subject.clone(),
                last_used: used(now, identity.last_used_at),
            })
            .collect(),
        providers: links::to_link(door, &session.session_id),
        sessions: sessions.into_iter().map(|stored| row(&signed_in, now, stored)).collect(),
    };
    page(StatusCode::OK, &account)
}

fn used(now: UnixSeconds, at: Option<UnixSeconds>) -> String {
    at.map_or_else(|| "Never".to_owned(), |at| ago(now, at))
}

fn row(signed_in: &SignedIn, now: UnixSeconds, stored: StoredSession) -> SessionRow {
    SessionRow {
        device: device(stored.user_agent.as_deref()),
        place: stored.source_ip.unwrap_or_else(|| "unknown".to_owned()),
        since: exact(stored.created_at),
        way: match stored.way {
            Way::Passkey => "by passkey",
            Way::Password => "by password",
            Way::Totp => "by password and app",
            Way::RecoveryCode => "by password and recovery code",
            Way::Oidc => "by a linked account",
        },
        last_used: ago(now, stored.last_used_at),
        is_this: stored.session_id == signed_in.session.session_id,
        end: signed_in.door.href(&format!("/account/sessions/{}/end", stored.session_id)),
    }
}

/// What the operator should do now, so that a lost device does not leave them without a way in.
fn advice(ways: &WaysIn, has_authenticator: bool) -> Vec<&'static str> {
    let mut advice = Vec::new();
    let others = ways.password_set_at.is_some() || !ways.identities.is_empty();
    if ways.passkeys.len() == 1 && !others {
        advice.push(
            "You have one passkey and no other way to sign in. Add a second one on another device now: if you lose this one, you need a new setup link from an administrator.",
        );
    }
    if has_authenticator && ways.recovery_codes == 0 {
        advice.push("You have no recovery codes. Make new ones now: without them and the app, your password does not sign you in.");
    }
    advice
}
