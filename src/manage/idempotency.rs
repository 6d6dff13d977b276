//! `Idempotency-Key`: a creating POST sent again gives the first one's reply, secret included (`docs/management-api.md`).
//!
//! Within this process a key that is being worked on is refused as running; between processes the database decides, in
//! the creating transaction, and the one that loses answers with the winner's reply.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::auth::Authorized;
use super::problem::{Kind, Problem};
use crate::kernel::{Error, Manager};
use crate::ledger::{IdempotentRequest, SaveReply, SavedReply};
use crate::services::Services;

/// The header that names a request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a reply that is given again.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_MAX: usize = 255;

/// The reply to a creating request: all of it that is given again.
#[derive(Serialize, Deserialize)]
pub struct Reply {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: String,
}

impl Reply {
    /// 201 with the thing made, where it is and which version of it this is.
    pub fn created(location: String, etag: Option<String>, body: &serde_json::Value) -> Self {
        Self { status: StatusCode::CREATED.as_u16(), location: Some(location), etag, body: body.to_string() }
    }

    fn bytes(&self) -> Vec<u8> {
        // Strings and a number: this cannot fail, and were it to, the reply would not be found again.
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

/// The named requests that are being worked on in this process.
#[derive(Debug, Default)]
pub struct Running(Mutex<HashSet<Name>>);

/// Caller, method, path and key.
type Name = (String, String, String, String);

impl Running {
    /// Enters a request. `None` if one of its name is in already.
    fn enter(self: &Arc<Self>, name: Name) -> Option<Turn> {
        let entered = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        entered.then(|| Turn { running: Arc::clone(self), name })
    }
}

/// A request that is in; dropping it, however the request ends, lets the next one in.
struct Turn {
    running: Arc<Running>,
    name: Name,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Creates once: runs `create`, unless a request of the same name was answered before. `body` is the request's body as
/// it came; `render` makes the reply to what was made; `create` hands what it is given to the use case.
///
/// # Errors
/// Those of `create`; 400 for a key that is none; 422 for a key that came with another body; 409 while a request of
/// that name is running.
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
    let _turn = match running.map(|running| running.enter(name)) {
        Some(None) => {
            return Err(Problem::new(
                Kind::IdempotencyInProgress,
                "A request with this Idempotency-Key is still running; repeat it later",
            ));
        }
        entered => entered.flatten(),
    };
    if let Some(reply) = replay(services, &named).await? {
        return Ok(reply);
    }
    let save = SaveReply { request: &named, render: &|made: &T| render(made).bytes() };
    match create(Some(save)).await {
        Ok(made) => Ok(render(&made).response(false)),
        // Another process may have answered the same request meanwhile: then this was its conflict with itself.
        Err(lost @ (Error::AlreadyAnswered | Error::Conflict(_))) => {
            replay(services, &named).await?.ok_or_else(|| lost.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The reply to an earlier request of that name, if there was one.
async fn replay(services: &Services, named: &IdempotentRequest) -> Result<Option<HttpResponse>, Problem> {
    match services.ledger.saved_reply(named).await? {
        SavedReply::None => Ok(None),
        SavedReply::OtherBody => Err(Problem::new(
            Kind::IdempotencyKeyReused,
            "This Idempotency-Key came with another body; use a new one",
        )),
        SavedReply::Reply(bytes) => match serde_json::from_slice::<Reply>(&bytes) {
            Ok(reply) => Ok(Some(reply.response(true))),
            Err(_) => Err(Error::Crypto("a saved reply cannot be read".to_owned()).into()),
        },
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
            "Idempotency-Key must come once and have 1 to {KEY_MAX} visible ASCII characters"
        )));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
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
    fn a_request_is_in_until_it_ends_however_it_ends() {
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
