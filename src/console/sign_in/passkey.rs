//! `/console/sign-in/passkey`: signing in with a passkey, without typing an address. What all pages with passkeys share is here
//! too.

use actix_web::HttpResponse;
use serde_json::Value;

use super::super::door::Door;
use super::super::session;
use super::super::stop::Stop;
use super::super::visitor::VisitorForm;
use super::password::after_passkey;
use super::webauthn::{NewPasskey, Refused, Registration, RelyingParty, SignIn, StoredKey, sign_in_options};
use super::{begin, keep};
use crate::model::operator::{StoredPasskey, Way};
use crate::operators::{SignedIn, Source, WayIn};

/// How long a challenge is valid, in seconds: the timeout that the browser gets, and a little more.
const CHALLENGE_SECONDS: i64 = 330;
const PURPOSE: &str = "passkey-sign-in";

/// `POST /console/sign-in/passkey/options`
pub(crate) async fn options(sent: VisitorForm) -> Result<HttpResponse, Stop> {
    let visitor = sent.visitor;
    let site = site(&visitor.door)?;
    let challenge = new_challenge(&visitor.door, PURPOSE, &visitor.csrf()).await?;
    Ok(json(&sign_in_options(&site, &challenge)))
}

/// `POST /console/sign-in/passkey`
pub(crate) async fn post(sent: VisitorForm) -> Result<HttpResponse, Stop> {
    let VisitorForm { visitor, form } = sent;
    let (door, request) = (&visitor.door, &visitor.request);
    let next = door.after_sign_in(form.one("next"));
    let source = session::source(request);
    let signed_in = match check(door, PURPOSE, &visitor.csrf(), form.one("credential"), &source).await? {
        Some(signed_in) => begin(door, request, &signed_in).await?,
        None => None,
    };
    match signed_in {
        Some(new) => Ok(keep(door, &new, &next)),
        None => after_passkey(&visitor, &next),
    }
}

/// The site that passkeys are for.
///
/// # Errors
/// 404 at an IP address.
pub(in crate::console) fn site(door: &Door) -> Result<RelyingParty, Stop> {
    RelyingParty::of(&door.origin).ok_or_else(Stop::not_found)
}

/// A new challenge, which can be used once, for this purpose and for the browser or session that `bound` names.
pub(in crate::console) async fn new_challenge(
    door: &Door,
    purpose: &str,
    bound: &str,
) -> Result<String, Stop> {
    let name = door.services.operators.new_state(purpose, bound.as_bytes(), CHALLENGE_SECONDS).await?;
    Ok(name.to_string())
}

/// Uses a challenge up. Returns whether it was made for this purpose and for the browser or session that `bound` names, and
/// is still valid.
async fn is_open(door: &Door, purpose: &str, bound: &str, challenge: &str) -> Result<bool, Stop> {
    let state = door.services.operators.take_state(purpose, challenge).await?;
    Ok(state.is_some_and(|state| state.as_slice() == bound.as_bytes()))
}

/// The passkey of a registration; `None` if the registration is refused.
pub(in crate::console) async fn registered(
    door: &Door,
    purpose: &str,
    bound: &str,
    answer: &str,
) -> Result<Option<NewPasskey>, Stop> {
    let site = site(door)?;
    let registration = match Registration::read(answer) {
        Ok(registration) if is_open(door, purpose, bound, registration.challenge()).await? => registration,
        Ok(_) => return Ok(refused(Refused::Challenge)),
        Err(why) => return Ok(refused(why)),
    };
    Ok(registration.verify(&site, registration.challenge()).map_or_else(refused, Some))
}

/// A passkey as the service stores it.
pub(in crate::console) fn way_in(made: NewPasskey, name: String) -> WayIn {
    WayIn::Passkey {
        credential_id: made.credential_id,
        public_key: made.public_key,
        alg: made.alg,
        sign_count: made.sign_count.into(),
        name,
    }
}

/// The operator who signed in with a passkey; `None` if the sign-in is refused. Refusals are audited.
pub(in crate::console) async fn check(
    door: &Door,
    purpose: &str,
    bound: &str,
    answer: &str,
    source: &Source,
) -> Result<Option<SignedIn>, Stop> {
    let (site, operators) = (site(door)?, &door.services.operators);
    let sign_in = match SignIn::read(answer) {
        Ok(sign_in) if is_open(door, purpose, bound, sign_in.challenge()).await? => Ok(sign_in),
        Ok(_) => Err(Refused::Challenge),
        Err(why) => Err(why),
    };
    let passkey = match &sign_in {
        Ok(sign_in) => operators.passkey(sign_in.credential_id()).await?,
        Err(_) => None,
    };
    let verified = match (&sign_in, &passkey) {
        (Ok(sign_in), Some(passkey)) => verify(&site, sign_in, passkey).map_err(|why| (why, reason(why))),
        (Ok(_), None) => Err((Refused::Unknown, "unknown_passkey")),
        (Err(why), _) => Err((*why, reason(*why))),
    };
    match (verified, passkey) {
        (Ok(count), Some(passkey)) => Ok(operators.passkey_used(&passkey, count.into(), source).await?),
        (Err((why, reason)), passkey) => {
            tracing::info!(%why, "a passkey was refused");
            let operator_id = passkey.as_ref().map(|passkey| passkey.operator_id.as_str());
            operators.sign_in_refused(operator_id, Way::Passkey, reason, source).await?;
            Ok(None)
        }
        (Ok(_), None) => Ok(None),
    }
}

fn verify(site: &RelyingParty, sign_in: &SignIn, passkey: &StoredPasskey) -> Result<u32, Refused> {
    let stored = StoredKey {
        public_key: &passkey.public_key,
        sign_count: u32::try_from(passkey.sign_count).unwrap_or(u32::MAX),
        handle: passkey.operator_id.as_bytes(),
    };
    sign_in.verify(site, sign_in.challenge(), &stored)
}

/// The reason as the audit trail has it.
fn reason(why: Refused) -> &'static str {
    match why {
        Refused::Counter => "counter_went_back",
        Refused::Challenge => "challenge_used",
        _ => "not_verified",
    }
}

fn refused<T>(why: Refused) -> Option<T> {
    tracing::info!(%why, "a passkey was refused");
    None
}

/// JSON for the script.
pub(in crate::console) fn json(value: &Value) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(value.to_string())
}
