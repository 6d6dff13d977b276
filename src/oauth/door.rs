//! The state of the OAuth endpoints, in one struct, so that a request needs only one lookup in the app data.

use std::sync::Arc;
use std::time::Duration;

use super::authenticate::Throttle;
use super::metadata::Metadata;
use super::verify::TokenHeaders;
use crate::config::Settings;
use crate::services::Services;
use crate::telemetry::metrics::Metrics;

/// The state of the OAuth endpoints; one for each app.
#[derive(Debug)]
pub struct Door {
    pub(super) services: Arc<Services>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) throttle: Throttle,
    pub(super) metadata: Metadata,
    pub(super) token_headers: TokenHeaders,
    /// `expires_in` of a token that never expires, in seconds; `None` to leave it out.
    pub(super) never_expires_in: Option<i64>,
    /// How long a body may take to arrive.
    pub(super) request_timeout: Duration,
}

impl Door {
    /// The state for `services` with these settings; `metrics` counts the tokens.
    pub fn new(services: Arc<Services>, metrics: Arc<Metrics>, settings: &Settings) -> Self {
        let issuer = settings.server.public_url.as_str();
        let metadata = Metadata::new(issuer, settings.tokens.signing_alg);
        Self {
            throttle: Throttle::new(Arc::clone(services.clock())),
            metadata,
            token_headers: TokenHeaders::new(settings),
            never_expires_in: settings.tokens.never_expires_in,
            request_timeout: settings.server.request_timeout,
            services,
            metrics,
        }
    }
}
