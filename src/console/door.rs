//! The state of the console: the services, where it is served, and its random numbers.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use mintmark_verifier::claims::FAR_EXP;

use super::moment;
use super::next::next_path;
use super::stop::Stop;
use super::turns::Turns;
use crate::config::{NeverExpiresExp, Settings};
use crate::services::Services;
use crate::vault::random::Random;

/// The state of the console; one for each app.
#[derive(Debug)]
pub struct Door {
    pub(super) services: Arc<Services>,
    pub(super) random: Random,
    /// The path of the console, `/console` or below the path of the issuer. All links within the console begin with it.
    pub(super) base: String,
    /// Scheme, host and port, as the `Origin` of a form sent from a page of the console.
    pub(super) origin: String,
    /// The issuer, for instructions that name the token endpoint.
    pub(super) issuer: String,
    /// The names of the OpenID Connect providers.
    pub(super) providers: Vec<String>,
    /// Whether a mail server is configured.
    pub(super) sends_mail: bool,
    /// How long a body may take to arrive.
    pub(super) request_timeout: Duration,
    /// The date in `exp` of a token that never expires; `None` if such a token has no `exp`.
    pub(super) never_expires_day: Option<String>,
    /// The forms whose work is running.
    pub(super) turns: Arc<Turns>,
    is_secure: bool,
}

impl Door {
    /// The state for `services` with these settings.
    pub fn new(services: Arc<Services>, random: Random, settings: &Settings) -> Self {
        let server = &settings.server;
        let origin = server.console_origin().to_owned();
        Self {
            services,
            random,
            base: format!("{}/console", server.public_url.path()),
            is_secure: origin.starts_with("https:"),
            origin,
            issuer: server.public_url.as_str().to_owned(),
            providers: settings.console.oidc.iter().map(|provider| provider.name.clone()).collect(),
            sends_mail: settings.smtp.is_some(),
            request_timeout: server.request_timeout,
            never_expires_day: (settings.tokens.never_expires_exp == NeverExpiresExp::Far)
                .then(|| moment::day(FAR_EXP)),
            turns: Arc::default(),
        }
    }

    /// The state, as `App::configure` adds it.
    ///
    /// # Errors
    /// 503 if the app has none.
    pub(super) fn of(request: &HttpRequest) -> Result<Data<Self>, Stop> {
        request.app_data::<Data<Self>>().cloned().ok_or_else(Stop::unavailable)
    }

    /// The name of a cookie: `name`, over https with the prefix `__Host-`, so that a browser takes the cookie from this host
    /// alone.
    pub(super) fn cookie_name(&self, name: &str) -> String {
        if self.is_secure { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// The value of `Set-Cookie` that keeps `value` for `seconds`; 0 seconds remove the cookie.
    pub(super) fn cookie(&self, name: &str, value: &str, seconds: i64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = self.cookie_name(name);
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
    }

    /// The address of a page of the console.
    pub(super) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Where to go after sign-in: `next` if it is a path of the console that [`next_path`] accepts, else the start page of the
    /// console. Any other address could lead to another site.
    pub(super) fn after_sign_in(&self, next: &str) -> String {
        next_path(&self.base, Some(next))
    }
}
