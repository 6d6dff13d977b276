//! `/healthz` (the process is alive) and `/readyz` (it can serve), for load balancers, orchestrators and people.
//!
//! Both are public, so a detail says what is wrong in a few words, without hosts, paths or secrets.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde::Serialize;

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether it passed.
    pub ok: bool,
    /// The reason in a few words; public.
    pub detail: String,
}

impl Check {
    /// A check that passed.
    pub fn pass(detail: impl Into<String>) -> Self {
        Self { ok: true, detail: detail.into() }
    }

    /// A check that failed.
    pub fn fail(detail: impl Into<String>) -> Self {
        Self { ok: false, detail: detail.into() }
    }
}

/// The conditions for serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checks {
    /// The database answers and takes writes, and this process follows the changes of others.
    pub storage: Check,
    /// The database has the schema that this program needs.
    pub migrations: Check,
    /// There are active signing keys for expiring and for never-expiring tokens.
    pub signing_keys: Check,
}

impl Checks {
    /// Whether all passed.
    pub fn all_ok(&self) -> bool {
        self.storage.ok && self.migrations.ok && self.signing_keys.ok
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    checks: Checks,
}

type Probe = Box<dyn Fn() -> Checks + Send + Sync>;

/// Whether this process should receive requests; shared by all workers of an app.
pub struct Readiness {
    probe: Probe,
    draining: AtomicBool,
}

impl Readiness {
    /// Calls `probe` at each request to `/readyz`. It must not block.
    pub fn new(probe: impl Fn() -> Checks + Send + Sync + 'static) -> Self {
        Self { probe: Box::new(probe), draining: AtomicBool::new(false) }
    }

    /// From now on the response is `not_ready`, so that no new requests arrive while the last ones are finished.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether [`Readiness::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("draining", &self.is_draining()).finish_non_exhaustive()
    }
}

/// `GET /healthz`: 200 whenever the process can respond.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Health { status: "ok" })
}

/// `GET /readyz`: 200 `ready`, or 503 `not_ready` with the reasons.
pub async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let checks = (readiness.probe)();
    let draining = readiness.is_draining();
    let (mut response, status) = if checks.all_ok() && !draining {
        (HttpResponse::Ok(), "ready")
    } else {
        (HttpResponse::ServiceUnavailable(), "not_ready")
    };
    let detail =
        draining.then_some("shutting down: requests in flight are finished, send new ones to another server");
    response.insert_header((CACHE_CONTROL, "no-store")).json(Answer { status, detail, checks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    async fn answer(readiness: &web::Data<Readiness>) -> (u16, Value) {
        let response = readyz(readiness.clone()).await;
        assert_eq!(response.headers().get(CACHE_CONTROL).unwrap(), "no-store");
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap())
    }

    fn checks(storage: bool, migrations: bool, signing_keys: bool) -> Checks {
        let check = |ok| if ok { Check::pass("fine") } else { Check::fail("gone") };
        Checks { storage: check(storage), migrations: check(migrations), signing_keys: check(signing_keys) }
    }

    #[tokio::test]
    async fn the_process_is_ready_only_if_every_check_passes() {
        let ready = web::Data::new(Readiness::new(|| checks(true, true, true)));
        let fine = json!({"ok": true, "detail": "fine"});
        let expected =
            json!({"status": "ready", "checks": {"storage": fine, "migrations": fine, "signing_keys": fine}});
        assert_eq!(answer(&ready).await, (200, expected));
        for (storage, migrations, keys) in [(false, true, true), (true, false, true), (true, true, false)] {
            let not = web::Data::new(Readiness::new(move || checks(storage, migrations, keys)));
            let (status, body) = answer(&not).await;
            assert_eq!((status, &body["status"]), (503, &json!("not_ready")));
            assert_eq!(body["checks"]["storage"]["ok"], storage);
            assert_eq!(body["checks"]["migrations"]["ok"], migrations);
            assert_eq!(body["checks"]["signing_keys"]["ok"], keys);
        }
    }

    #[tokio::test]
    async fn a_draining_process_is_not_ready_although_all_checks_pass() {
        let readiness = web::Data::new(Readiness::new(|| checks(true, true, true)));
        readiness.drain();
        let (status, body) = answer(&readiness).await;
        assert_eq!((status, &body["status"]), (503, &json!("not_ready")));
        assert!(body["detail"].as_str().unwrap().starts_with("shutting down"));
        assert_eq!(body["checks"]["storage"]["ok"], true);
    }

    #[tokio::test]
    async fn healthz_says_ok() {
        let response = healthz().await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(to_bytes(response.into_body()).await.unwrap(), r#"{"status":"ok"}"#);
    }
}
