//! The providers of the settings: what each publishes, kept for an hour, and the exchange of a code for an ID token.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::id_token::{self, Expected, IdToken};
use super::keys::Keys;
use super::metadata::Metadata;
use super::refused::Refused;
use crate::config::OidcProvider;
use crate::model::clock::UnixSeconds;
use crate::outbound::{Outbound, Request};

/// After how many seconds what a provider publishes is read again.
const KEPT_SECONDS: i64 = 3600;
/// If it cannot be read again, the older copy is used until it has this age, in seconds.
const STALE_MAX: i64 = 86_400;
/// If a token has an unknown key, the keys are read again, unless they were last read within this many seconds.
const PAUSE_SECONDS: i64 = 60;
/// After a failure, the provider is not asked again for this many seconds.
const FAILED_SECONDS: i64 = 5;

/// The providers, and the HTTP client that asks them.
#[derive(Debug)]
pub struct Providers {
    outbound: Arc<Outbound>,
    list: Vec<Provider>,
}

/// A provider, with what it publishes.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) settings: OidcProvider,
    /// Locked while what the provider publishes is read, so that one request reads it for all.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    published: Option<Published>,
    failed: Option<(UnixSeconds, Refused)>,
}

/// What a provider publishes.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) metadata: Arc<Metadata>,
    keys: Arc<Keys>,
    read_at: UnixSeconds,
}

/// A code, what proves that it belongs to this sign-in, and what the ID token must say.
pub(super) struct Exchange<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: &'a str,
    pub(super) nonce: &'a str,
    pub(super) authenticated_since: Option<UnixSeconds>,
}

impl Providers {
    /// The providers of the settings.
    pub fn new(outbound: Arc<Outbound>, settings: &[OidcProvider]) -> Self {
        let provider =
            |settings: &OidcProvider| Provider { settings: settings.clone(), kept: Mutex::default() };
        Self { outbound, list: settings.iter().map(provider).collect() }
    }

    pub(super) fn named(&self, name: &str) -> Option<&Provider> {
        self.list.iter().find(|provider| provider.settings.name == name)
    }

    /// What a provider publishes. It is read again if it was last read more than an hour ago.
    pub(super) async fn published(
        &self,
        provider: &Provider,
        now: UnixSeconds,
    ) -> Result<Published, Refused> {
        let mut kept = provider.kept.lock().await;
        if let Some(published) = kept.published.as_ref().filter(|it| is_within(it.read_at, KEPT_SECONDS, now))
        {
            return Ok(published.clone());
        }
        self.read(provider, &mut kept, now).await
    }

    /// Exchanges a code for an ID token and verifies the token. If its key is unknown, the keys are read again, unless they
    /// were read within the last minute.
    pub(super) async fn id_token(
        &self,
        provider: &Provider,
        exchange: &Exchange<'_>,
        now: UnixSeconds,
    ) -> Result<IdToken, Refused> {
        let published = self.published(provider, now).await?;
        let token = self.exchange(provider, &published.metadata.token_endpoint, exchange).await?;
        let expected = Expected {
            issuer: &provider.settings.issuer,
            client_id: &provider.settings.client_id,
            nonce: exchange.nonce,
            authenticated_since: exchange.authenticated_since,
            now,
        };
        match id_token::verify(&token, &published.keys, &expected) {
            Err(Refused::UnknownKey) => {
                let mut kept = provider.kept.lock().await;
                let is_newer = |it: &Published| !Arc::ptr_eq(&it.keys, &published.keys);
                let newer = match kept.published.clone().filter(is_newer) {
                    Some(newer) => newer,
                    None if is_within(published.read_at, PAUSE_SECONDS, now) => {
                        return Err(Refused::UnknownKey);
                    }
                    None => self.read(provider, &mut kept, now).await?,
                };
                id_token::verify(&token, &newer.keys, &expected)
            }
            verdict => verdict,
        }
    }

    /// Reads what a provider publishes. If that fails, what was read within the last day is used.
    async fn read(
        &self,
        provider: &Provider,
        kept: &mut Kept,
        now: UnixSeconds,
    ) -> Result<Published, Refused> {
        let recently = kept.failed.clone().filter(|(at, _)| is_within(*at, FAILED_SECONDS, now));
        let why = match recently {
            Some((_, why)) => why,
            None => match self.fetch(&provider.settings.issuer, now).await {
                Ok(published) => {
                    *kept = Kept { published: Some(published.clone()), failed: None };
                    return Ok(published);
                }
                Err(why) => {
                    kept.failed = Some((now, why.clone()));
                    why
                }
            },
        };
        kept.published.clone().filter(|it| is_within(it.read_at, STALE_MAX, now)).ok_or(why)
    }

    async fn fetch(&self, issuer: &str, now: UnixSeconds) -> Result<Published, Refused> {
        let metadata = Metadata::read(&self.get(&Metadata::url(issuer)).await?, issuer)?;
        // The browser is sent to this URL, so it must keep the rules for URLs that this service requests.
        let refused =
            |_| Refused::Metadata("its authorization_endpoint is not an https URL that may be used");
        self.outbound.check(&metadata.authorization_endpoint).map_err(refused)?;
        let keys = Keys::read(&self.get(&metadata.jwks_uri).await?)?;
        Ok(Published { metadata: Arc::new(metadata), keys: Arc::new(keys), read_at: now })
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, Refused> {
        let answer = self.outbound.send(Request::get(url)).await;
        let answer = answer.map_err(|why| Refused::Unreachable(why.to_string()))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(Refused::Status(answer.status)) }
    }

    /// Sends the token request (RFC 6749 §4.1.3, RFC 7636 §4.5), with `client_secret_basic` (RFC 6749 §2.3.1). Returns the ID
    /// token, which is not verified yet.
    async fn exchange(
        &self,
        provider: &Provider,
        endpoint: &str,
        exchange: &Exchange<'_>,
    ) -> Result<String, Refused> {
        #[derive(Deserialize)]
        struct Reply {
            id_token: Option<String>,
        }
        #[derive(Deserialize)]
        struct Failure {
            error: String,
        }
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let id = encoded(&provider.settings.client_id);
        let secret = Zeroizing::new(encoded(provider.settings.client_secret.expose()));
        let form = [
            ("grant_type", "authorization_code"),
            ("code", exchange.code),
            ("redirect_uri", exchange.redirect_uri),
            ("code_verifier", exchange.verifier),
        ];
        let answer = self.outbound.send(Request::form(endpoint, &form).basic(&id, &secret)).await;
        let answer = answer.map_err(|why| Refused::Unreachable(why.to_string()))?;
        if answer.status != 200 {
            let failure = serde_json::from_slice::<Failure>(&answer.body).ok();
            let plain = |c: &char| c.is_ascii_graphic();
            let error =
                failure.map(|failure| failure.error.chars().filter(plain).take(64).collect::<String>());
            return Err(error.map_or(Refused::Status(answer.status), Refused::Code));
        }
        let reply: Reply = serde_json::from_slice(&answer.body).map_err(|_| Refused::NoIdToken)?;
        reply.id_token.ok_or(Refused::NoIdToken)
    }
}

/// Whether `at` is less than `seconds` ago. A time in the future, as after the clock was set back, is not.
fn is_within(at: UnixSeconds, seconds: i64, now: UnixSeconds) -> bool {
    (0..seconds).contains(&now.saturating_sub(at))
}
