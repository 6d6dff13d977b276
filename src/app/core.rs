//! Opens the database, decrypts the root key and assembles the services, for every door (`oauth`, `manage`, `console`, `cli`).

use std::sync::Arc;

use super::StartError;
use super::root_key::open_root;
use crate::config::Settings;
use crate::issuance::TokenPolicy;
use crate::kernel::{Error, Kernel, Policy};
use crate::model::clock::Clock;
use crate::model::grant::Audiences;
use crate::outbound::{Outbound, Resolver, SystemResolver};
use crate::services::Services;
use crate::storage::Storage;
use crate::vault::master::Origin;
use crate::vault::random::Random;

/// The open services without doors: the command line uses them, and [`App`](super::App) serves them.
#[derive(Debug, Clone)]
pub struct Core {
    /// Every service.
    pub services: Arc<Services>,
    /// The random number generator.
    pub random: Random,
    /// Where the master key came from, for the log at start.
    pub master_key_origin: Origin,
    /// Makes the requests to other hosts.
    pub outbound: Arc<Outbound>,
}

impl Core {
    /// Opens and migrates the database, and creates what a first start needs: the master key, if the database is empty and
    /// none is configured; the root key; the workspace `platform`; signing keys for expiring and for never-expiring tokens.
    ///
    /// # Errors
    /// A [`StartError`].
    pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::open_with(settings, clock, Arc::new(SystemResolver)).await
    }

    /// As [`Core::open`], but `resolver` finds the IP addresses of other hosts.
    ///
    /// # Errors
    /// As [`Core::open`].
    pub async fn open_with(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, StartError> {
        let random = Random::new();
        let storage =
            Storage::open(settings.database.url.expose(), settings.database.max_connections).await?;
        let (root, master_key_origin) = open_root(settings, &storage, &random, clock.as_ref()).await?;
        let subkeys = Arc::new(root.subkeys());
        let kernel = Kernel::new(storage, clock, random.clone(), subkeys, policy(settings));
        let (allow, plain_http) = (settings.outbound.allow.clone(), settings.server.public_url.is_loopback());
        let outbound = Arc::new(Outbound::new(allow, plain_http, resolver));
        let services = Services::assemble(kernel, token_policy(settings), Arc::clone(&outbound)).await?;
        services.tenants.ensure_platform_workspace().await?;
        match services.signing.advance_signing_keys().await {
            // A background job of the server repeats this call, and so makes the keys once the clock is right.
            Err(Error::Clock(why)) => tracing::warn!(
                "no signing key was made or retired; a running server tries again by itself. The reason: {why}"
            ),
            outcome => outcome?,
        }
        // Only now, because `advance_signing_keys` has waited for any other process that was making the first keys.
        services.signing.reload_signing_keys().await?;
        services.clients.ensure_slots().await?;
        Ok(Self { services: Arc::new(services), random, master_key_origin, outbound })
    }
}

fn token_policy(settings: &Settings) -> TokenPolicy {
    TokenPolicy {
        issuer: settings.server.public_url.as_str().into(),
        record_above_seconds: settings.tokens.record_above_seconds,
        never_expires_exp: settings.tokens.never_expires_exp,
    }
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        audiences: Audiences {
            default: settings.tokens.default_audience.as_str().into(),
            issuer: settings.server.public_url.as_str().into(),
        },
        signing_alg: settings.tokens.signing_alg,
        default_lifetime_seconds: settings.tokens.default_lifetime_seconds,
        jwks_max_age_seconds: settings.keys.jwks_max_age_seconds,
        key_pending_seconds: settings.keys.pending_seconds,
        key_rotate_every_days: settings.keys.rotate_every_days,
        serve_stale_seconds: settings.tokens.serve_stale_seconds,
        status_list_ttl_seconds: settings.status_lists.ttl_seconds,
        audit_keep_days: settings.audit.keep_days,
        console_url: settings.server.console_base(),
        sends_mail: settings.smtp.is_some(),
        second_factor_required: settings.console.second_factor_required,
    }
}
