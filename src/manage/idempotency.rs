//! `Idempotency-Key`: a repeated POST that creates something gets the reply to the first request, including a secret
//! (`docs/management-api.md`).
//!
//! While a request is running in this process, another one with its key is refused. Between processes the transaction that
//! creates something decides: the process that comes second sends the reply of the first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::auth::Authorized;
use super::problem::{Kind, Problem};
use crate::kernel::{Caller, Error, Manager};
use crate::ledger::{IdempotentRequest, SaveReply, SavedReply};
use crate::model::scope::Permission;
use crate::services::Services;

/// The header with the key.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that marks a replayed reply.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_MAX: usize = 255;

/// The reply to a request that creates something, with everything that a replay needs.
#[derive(Serialize, Deserialize)]
pub struct Reply {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: String,
    /// The permissions of the token that first got the reply.
    #[serde(default)]
    permissions: Vec<Permission>,
}

impl Reply {
    /// 201 with the new record, its location and its entity tag.
    pub fn created(location: String, etag: Option<String>, body: &serde_json::Value) -> Self {
        Self {
            status: StatusCode::CREATED.as_u16(),
            location: Some(location),
            etag,
            body: body.to_string(),
            permissions: Vec::new(),
        }
    }

    /// 201 with something that has no URL of its own.
    pub fn made(body: &serde_json::Value) -> Self {
        Self {
            status: StatusCode::CREATED.as_u16(),
            location: None,
            etag: None,
            body: body.to_string(),
            permissions: Vec::new(),
        }
    }

    /// The reply as it is saved: only a token with at least the permissions of `caller` gets it again.
    fn for_same_permissions(self, caller: &Caller) -> Self {
        Self { permissions: caller.permissions.clone(), ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        // These are strings and a number, so this cannot fail. If it did, the empty reply could not be replayed.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn response(self, replayed: bool) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::CREATED);
        let mut response = HttpResponse::build(status);
        response.content_type("application/json");
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if replayed {
            response.insert_header((IDEMPOTENCY_REPLAYED, "true"));
        }
        response.body(self.body)
    }
}

/// The requests with a key that are running in this process.
#[derive(Debug, Default)]
pub struct Running(Mutex<HashSet<Name>>);

/// Caller, method, path and key.
type Name = (String, String, String, String);

impl Running {
    /// Adds a request. `None` if one with the same [`Name`] is already running.
    fn enter(self: &Arc<Self>, name: Name) -> Option<RunningRequest> {
        let entered = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        entered.then(|| RunningRequest { running: Arc::clone(self), name })
    }
}

/// A running request. When it is dropped, the same request may run again.
struct RunningRequest {
    running: Arc<Running>,
    name: Name,
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Runs `create`, unless the same request was answered before; then its saved reply is sent again. `body` is the body of
/// the request, `render` makes the reply for the new record, and `create` passes its argument to the use case.
///
/// # Errors
/// Those of `create`; 400 for an invalid key; 422 for a key that was used with another body; 409 while the same request is
/// running; 403 if the saved reply went to a token with more permissions.
pub async fn once<T>(
    call: &Authorized<Manager>,
    services: &Services,
    body: &[u8],
    render: impl Fn(&T) -> Reply,
    create: impl AsyncFnOnce(Option<SaveReply<'_, T>>) -> Result<T, Error>,
) -> Result<HttpResponse, Problem> {
    let request = &call.request;
    let Some(key) = key(request)? else {
        return Ok(render(&create(None).await?).response(false));
    };
    let method = request.method().as_str();
    let named = services.ledger.idempotent_request(&call.caller, method, &call.resource(), key, body);
    let (caller, method, path, key) = named.name();
    let name = (caller.to_owned(), method.to_owned(), path.to_owned(), key.to_owned());
    let running = request.app_data::<web::Data<Running>>();
    let _running = match running.map(|running| running.enter(name)) {
        Some(None) => {
            return Err(Problem::new(
                Kind::IdempotencyInProgress,
                "A request with this Idempotency-Key is still running: repeat it later",
            ));
        }
        entered => entered.flatten(),
    };
    if let Some(reply) = replay(call, services, &named).await? {
        return Ok(reply);
    }
    let render_saved = |made: &T| render(made).for_same_permissions(&call.caller).bytes();
    let save = SaveReply { request: &named, render: &render_saved, subject: None };
    match create(Some(save)).await {
        Ok(made) => Ok(render(&made).response(false)),
        // Another process may have answered the same request meanwhile. Then the conflict is with what that process created.
        Err(lost @ (Error::AlreadyAnswered | Error::Conflict(_))) => {
            replay(call, services, &named).await?.ok_or_else(|| lost.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The reply to an earlier identical request, if there was one.
async fn replay(
    call: &Authorized<Manager>,
    services: &Services,
    named: &IdempotentRequest,
) -> Result<Option<HttpResponse>, Problem> {
    let read = |bytes: &[u8]| {
        let unreadable = |_| Error::Crypto("a saved reply cannot be read".to_owned());
        let reply: Reply = serde_json::from_slice(bytes).map_err(unreadable)?;
        // The reply may contain a secret or a token that this caller could not have requested.
        call.caller.must_hold_all(
            &reply.permissions,
            "this request was first answered to a token with more permissions than yours",
        )?;
        Ok(reply)
    };
    match services.ledger.saved_reply(&call.caller, named, read).await? {
        SavedReply::None => Ok(None),
        SavedReply::OtherBody => Err(Problem::new(
            Kind::IdempotencyKeyReused,
            "This Idempotency-Key was used with another body: use a new one",
        )),
        SavedReply::Reply(reply) => Ok(Some(reply.response(true))),
    }
}

/// The key of a request, if it has one.
fn key(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(key) = keys.next() else { return Ok(None) };
    let text = key.to_str().unwrap_or_default();
    if keys.next().is_some()
        || !(1..=KEY_MAX).contains(&text.len())
        || !text.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(Problem::parameter(format!(
            "Idempotency-Key must be sent once and have 1 to {KEY_MAX} visible ASCII characters"
        )));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_key_is_sent_once_and_has_1_to_255_visible_ascii_characters() {
        let key_of = |value: &[u8]| {
            let value = header::HeaderValue::from_bytes(value).unwrap();
            let request = TestRequest::default().insert_header((IDEMPOTENCY_KEY, value)).to_http_request();
            key(&request).map(|key| key.map(str::to_owned))
        };
        let longest = "~".repeat(255);
        assert_eq!(key_of(b"a!").unwrap().as_deref(), Some("a!"));
        assert_eq!(key_of(longest.as_bytes()).unwrap(), Some(longest.clone()));
        let too_long = format!("{longest}~");
        for bad in [&b""[..], b"a b", b"a\tb", b"\xc3\xa4", too_long.as_bytes()] {
            assert!(key_of(bad).is_err(), "{bad:?}");
        }
        assert_eq!(key(&TestRequest::default().to_http_request()).unwrap(), None);
        let twice = TestRequest::default()
            .append_header((IDEMPOTENCY_KEY, "a"))
            .append_header((IDEMPOTENCY_KEY, "a"));
        assert!(key(&twice.to_http_request()).is_err());
    }

    #[test]
    fn a_key_is_in_use_until_its_request_ends() {
        let running = Arc::new(Running::default());
        let name =
            |key: &str| ("cl_a".to_owned(), "POST".to_owned(), "/v1/products".to_owned(), key.to_owned());
        let first = running.enter(name("a")).unwrap();
        assert!(running.enter(name("a")).is_none());
        let other = running.enter(name("b")).unwrap();
        drop(first);
        assert!(running.enter(name("b")).is_none());
        drop(running.enter(name("a")).unwrap());
        drop(other);
        assert!(running.0.lock().unwrap().is_empty());
    }
}
