//! Puts the rooms together: [`Core::open`] (database, keys, rules) for every door, [`App`] for the ones on HTTP.
//!
//! A server is a function of listeners and a shutdown signal: the caller binds and decides when to stop, so tests,
//! `quickstart` and `serve` share one path.

mod maintenance;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use actix_web::{App as ActixApp, HttpServer};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{MasterKey as MasterKeySetting, Settings};
use crate::issuance::{Issuer, StatusLists, TokenPolicy};
use crate::jobs;
use crate::keys::master::{MasterKey, MasterKeyError, Origin};
use crate::keys::random::{Random, RandomUnavailable};
use crate::keys::ring::KeyRing;
use crate::keys::root::RootKey;
use crate::keys::seal::SealError;
use crate::manage::idempotency::Running;
use crate::model::clock::Clock;
use crate::model::grant::Audiences;
use crate::model::key::Phase;
use crate::oauth::authenticate::Throttle;
use crate::oauth::metadata::Metadata;
use crate::oauth::verify::TokenHeaders;
use crate::registry::{Error as RegistryError, Freshness, Policy, Registry};
use crate::routes::{self, Doors};
use crate::storage::{SealedRoot, Storage, StorageError};
use crate::telemetry::health::{Check, Checks, Readiness};
use crate::telemetry::http::Telemetry;
use crate::telemetry::metrics::Metrics;
use crate::tls;

pub use maintenance::{back_up, discard_staged, migrate, put_in_place, rewrap, stage};

/// Why the service does not start. Each says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The database cannot be opened, migrated or read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The master key cannot be had, or is another database's.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// What the database keeps sealed does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The machine gives no random numbers.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// A rule refused, or the first records could not be made.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The issuer identifier is none.
    #[error("server.public_url: {0}")]
    Issuer(String),
    /// Certificate or key for TLS.
    #[error("{0}")]
    Tls(String),
    /// The server could not be run.
    #[error("cannot serve: {0}")]
    Io(#[from] std::io::Error),
}

/// The opened service without its doors: what the command line works on, and what [`App`] serves.
#[derive(Debug, Clone)]
pub struct Core {
    /// Every rule and record.
    pub registry: Arc<Registry>,
    /// The keys that sign and verify.
    pub ring: Arc<KeyRing>,
    /// Issues tokens.
    pub issuer: Arc<Issuer>,
    /// Publishes the statuses of tokens.
    pub status_lists: Arc<StatusLists>,
    /// The source of randomness.
    pub random: Random,
    /// Where the master key came from, to be said at start.
    pub master_key_origin: Origin,
}

impl Core {
    /// Opens the database (migrated), unseals the keys, and makes what a first start needs: the master key if none is
    /// configured and the database is empty, the workspace `platform`, one signing key for each class.
    ///
    /// # Errors
    /// A [`StartError`]; nothing is changed by an opening that fails on what it finds.
    pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        crate::keys::provider::install();
        let random = Random::new();
        let storage =
            Storage::open(settings.database.url.expose(), settings.database.max_connections).await?;
        let (root, master_key_origin) = open_root(settings, &storage, &random, clock.as_ref()).await?;
        let policy = policy(settings);
        let subkeys = Arc::new(root.subkeys());
        let ring = Arc::new(KeyRing::new(Arc::clone(&subkeys), settings.tokens.signing_alg));
        let registry = Registry::new(storage, clock, random.clone(), subkeys, policy, Arc::clone(&ring));
        let registry = Arc::new(registry.await?);
        registry.ensure_platform_workspace().await?;
        registry.reload_signing_keys().await?;
        registry.advance_signing_keys().await?;
        registry.ensure_slots().await?;
        let issuer = Issuer::new(
            Arc::clone(&registry),
            Arc::clone(&ring),
            random.clone(),
            TokenPolicy {
                issuer: settings.server.public_url.as_str().into(),
                record_above_seconds: settings.tokens.record_above_seconds,
                never_expires_exp: settings.tokens.never_expires_exp,
            },
        );
        let issuer = Arc::new(issuer.map_err(StartError::Issuer)?);
        let base = settings.server.public_url.as_str();
        let status_lists = Arc::new(StatusLists::new(Arc::clone(&registry), Arc::clone(&ring), base));
        Ok(Self { registry, ring, issuer, status_lists, random, master_key_origin })
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
    }
}

/// The root key of the database, made if it has none. A database that has one knows its master key by the fingerprint
/// and takes no other.
async fn open_root(
    settings: &Settings,
    storage: &Storage,
    random: &Random,
    clock: &dyn Clock,
) -> Result<(RootKey, Origin), StartError> {
    let stored = storage.sealed_root().await?;
    let fingerprint = stored.as_ref().map(|root| root.master_fingerprint.as_slice());
    let (master, origin) = master_key(settings, fingerprint, random)?;
    if let Some(stored) = stored {
        return Ok((RootKey::unseal(&master, &stored.sealed)?, origin));
    }
    let root = RootKey::generate(random)?;
    let sealed =
        SealedRoot { master_fingerprint: master.fingerprint().to_vec(), sealed: root.seal(&master, random)? };
    let mut tx = storage.begin().await?;
    let first = tx.insert_sealed_root(&sealed, clock.now()).await?;
    tx.commit().await?;
    if first {
        if let Origin::File(path) = &origin {
            tracing::warn!(
                master_key = %path.display(),
                "the database is new, but its master key was there before: if there was another database, stop, look \
                 for it where database.url says, and restore it if it is lost"
            );
        }
        return Ok((root, origin));
    }
    // Another process was first to serve this database; its root key holds, if it has the same master key.
    let stored = storage
        .sealed_root()
        .await?
        .ok_or_else(|| StorageError::Damaged("the root key is gone".to_owned()))?;
    let (master, origin) = master_key(settings, Some(&stored.master_fingerprint), random)?;
    Ok((RootKey::unseal(&master, &stored.sealed)?, origin))
}

/// The master key that the settings name, for a database that keeps this fingerprint.
fn master_key(
    settings: &Settings,
    fingerprint: Option<&[u8]>,
    random: &Random,
) -> Result<(MasterKey, Origin), MasterKeyError> {
    match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => {
            MasterKey::obtain(Some(text.expose()), "".as_ref(), fingerprint, random)
        }
        // A file that an operator named must be there: making it would hide a mistyped path.
        MasterKeySetting::File { path, explicit: true } if !path.exists() => {
            Err(MasterKeyError::Missing(path.clone()))
        }
        MasterKeySetting::File { path, .. } => MasterKey::obtain(None, path, fingerprint, random),
    }
}

/// The sockets to serve on, bound by the caller.
#[derive(Debug)]
pub struct Listeners {
    /// For everyone.
    pub public: TcpListener,
    /// For `/v1` and `/metrics`, when they have an address of their own.
    pub management: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        Self::with_public(Self::bind_public(settings.server.listen)?, settings)
    }

    /// Binds the address for everyone alone; for a port that the system chooses, on which the settings then depend.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind_public(address: SocketAddr) -> Result<TcpListener, StartError> {
        bind("server.listen", address)
    }

    /// Binds what the settings name beside the address for everyone.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn with_public(public: TcpListener, settings: &Settings) -> Result<Self, StartError> {
        let management = settings.server.management_listen;
        let management = management.map(|address| bind("server.management_listen", address)).transpose()?;
        Ok(Self { public, management })
    }
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => "Another process listens there: stop it, or choose another port",
            std::io::ErrorKind::PermissionDenied => "Ports below 1024 are for root: choose another",
            _ => "Choose an address of this machine",
        };
        let port = if address.port() < 1024 { 8080 } else { address.port().checked_add(1).unwrap_or(8080) };
        let variable = setting.to_uppercase().replace('.', "__");
        let other = SocketAddr::new(address.ip(), port);
        let text = format!("{setting} = {address}: {error}. {hint}, as in MINTMARK__{variable}={other}");
        StartError::Io(std::io::Error::new(error.kind(), text))
    })
}

/// The service on HTTP.
#[derive(Debug, Clone)]
pub struct App {
    core: Core,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    throttle: Arc<Throttle>,
    metadata: Arc<Metadata>,
    token_headers: Arc<TokenHeaders>,
    running: Arc<Running>,
}

impl App {
    /// Opens everything; nothing is served yet.
    ///
    /// # Errors
    /// See [`Core::open`].
    pub async fn build(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let core = Core::open(&settings, Arc::clone(&clock)).await?;
        let metrics = Arc::new(Metrics::new());
        gauges(&metrics, &core);
        let probed = core.clone();
        let readiness = Readiness::new(move || {
            let core = probed.clone();
            async move { checks(&core).await }
        });
        let registry = Arc::clone(&core.registry);
        Ok(Self {
            metadata: Arc::new(Metadata::new(
                settings.server.public_url.as_str(),
                settings.tokens.signing_alg,
                |body| registry.etag_of(body),
            )),
            token_headers: Arc::new(TokenHeaders::new(&settings)),
            core,
            settings: Arc::new(settings),
            metrics,
            readiness: Arc::new(readiness),
            throttle: Arc::new(Throttle::new(clock)),
            running: Arc::default(),
        })
    }

    /// What is served, for callers that also work on it directly (`quickstart`, tests).
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// What is counted, for callers that ask for it directly (tests).
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Serves until `shutdown` is done, then lets requests in flight finish and writes what is still in memory.
    ///
    /// # Errors
    /// [`StartError::Tls`], [`StartError::Io`], [`StartError::Random`].
    pub async fn run(
        self,
        listeners: Listeners,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StartError> {
        let (stop, stopped) = watch::channel(());
        let mut servers = Vec::new();
        let split = listeners.management.is_some();
        servers.push(self.server(
            listeners.public,
            if split { Doors::Public } else { Doors::All },
            stopped.clone(),
        )?);
        if let Some(listener) = listeners.management {
            servers.push(self.server(listener, Doors::Management, stopped.clone())?);
        }
        let mut background = JoinSet::new();
        background.spawn(jobs::follow(Arc::clone(&self.core.registry), Arc::clone(&self.core.status_lists)));
        background.spawn(jobs::record(Arc::clone(&self.core.registry)));
        background.spawn(jobs::clockwork(Arc::clone(&self.core.registry)));
        background.spawn(jobs::housekeeping(Arc::clone(&self.core.registry)));
        let readiness = Arc::clone(&self.readiness);
        let mut waiting = JoinSet::new();
        waiting.spawn(async move {
            shutdown.await;
            // Readiness falls first, so that no new requests are sent here while the last ones are finished.
            readiness.drain();
            drop(stop);
        });
        let outcome = futures_util::future::try_join_all(servers).await;
        background.shutdown().await;
        waiting.shutdown().await;
        if let Err(error) = self.core.registry.write_last_used().await {
            tracing::warn!(%error, "the last uses of secrets and tokens could not be written");
        }
        self.core.registry.close().await;
        outcome?;
        Ok(())
    }

    /// What stands around every request: its id, its log line, its numbers.
    ///
    /// # Errors
    /// [`StartError::Random`].
    pub fn telemetry(&self) -> Result<Telemetry, StartError> {
        let proxies = self.settings.server.trusted_proxies.clone();
        Ok(Telemetry::new(Arc::clone(&self.metrics), proxies, self.core.random.fill()?))
    }

    /// The routes of `doors` and what their functions ask for; also for benches, which serve without sockets.
    pub fn configure(&self, config: &mut ServiceConfig, doors: Doors) {
        config
            .app_data(Data::from(Arc::clone(&self.core.registry)))
            .app_data(Data::from(Arc::clone(&self.core.ring)))
            .app_data(Data::from(Arc::clone(&self.core.issuer)))
            .app_data(Data::from(Arc::clone(&self.core.status_lists)))
            .app_data(Data::from(Arc::clone(&self.metrics)))
            .app_data(Data::from(Arc::clone(&self.readiness)))
            .app_data(Data::from(Arc::clone(&self.throttle)))
            .app_data(Data::from(Arc::clone(&self.metadata)))
            .app_data(Data::from(Arc::clone(&self.token_headers)))
            .app_data(Data::from(Arc::clone(&self.running)))
            .app_data(Data::from(Arc::clone(&self.settings)));
        routes::configure(config, doors, self.settings.server.public_url.path());
    }

    fn server(
        &self,
        listener: TcpListener,
        doors: Doors,
        mut stopped: watch::Receiver<()>,
    ) -> Result<actix_web::dev::Server, StartError> {
        let telemetry = self.telemetry()?;
        let app = self.clone();
        let server = &self.settings.server;
        let http = HttpServer::new(move || {
            ActixApp::new().configure(|config| app.configure(config, doors)).wrap(telemetry.clone())
        })
        .workers(if server.workers == 0 { num_cpus() } else { server.workers })
        .max_connections(server.connections_per_worker())
        .client_request_timeout(server.request_timeout)
        .client_disconnect_timeout(server.request_timeout)
        .keep_alive(server.keep_alive)
        .shutdown_timeout(server.shutdown_timeout.as_secs())
        .shutdown_signal(async move {
            // An error means that the other end was dropped, which is the signal.
            let _ = stopped.changed().await;
        });
        let http = match &server.tls {
            None => http.listen(listener)?,
            Some(files) => {
                let config = tls::server_config(files).map_err(StartError::Tls)?;
                http.listen_rustls_0_23(listener, config)?
            }
        };
        Ok(http.run())
    }
}

fn num_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn gauges(metrics: &Metrics, core: &Core) {
    let registry = Arc::clone(&core.registry);
    metrics.gauge_read_by("cached_clients", "API clients held in memory", move || {
        i64::try_from(registry.cached_clients()).unwrap_or(i64::MAX)
    });
    let registry = Arc::clone(&core.registry);
    metrics.gauge_read_by(
        "change_counter_age_milliseconds",
        "Milliseconds since the change counter was last confirmed; above 5000 answers are refused",
        move || registry.confirmed_millis_ago(),
    );
    let registry = Arc::clone(&core.registry);
    metrics.gauge_read_by("tokens_being_recorded", "Tokens that wait for their commit", move || {
        i64::try_from(registry.tokens_being_recorded()).unwrap_or(i64::MAX)
    });
    let registry = Arc::clone(&core.registry);
    metrics.counter_read_by("recorded_tokens", "Tokens put on record at the token endpoint", move || {
        registry.recorded_tokens_and_commits().0
    });
    let registry = Arc::clone(&core.registry);
    metrics.counter_read_by(
        "recorded_token_commits",
        "Durable commits that these took; tokens asked for at the same time share one",
        move || registry.recorded_tokens_and_commits().1,
    );
    let lists = Arc::clone(&core.status_lists);
    metrics.counter_read_by("status_lists_read", "Status lists read from the database", move || {
        lists.read_and_signed().0
    });
    let lists = Arc::clone(&core.status_lists);
    metrics.counter_read_by(
        "status_lists_signed",
        "Status lists signed; every other reply came from memory",
        move || lists.read_and_signed().1,
    );
    let ring = Arc::clone(&core.ring);
    metrics.gauges_read_by("signing_keys", "Published signing keys by phase", ["phase"], move || {
        let count = |phase: Phase| ([phase.as_str()], i64::try_from(ring.count(phase)).unwrap_or(i64::MAX));
        [Phase::Pending, Phase::Active, Phase::Retiring].map(count).to_vec()
    });
}

async fn checks(core: &Core) -> Checks {
    let (mut storage, migrations) = match core.registry.schema_is_current().await {
        Ok(true) => (Check::pass("the database answers"), Check::pass("the schema is current")),
        Ok(false) => (
            Check::pass("the database answers"),
            Check::fail(
                "the schema is not that of this program: run `mintmark migrate`, or use the version that made it",
            ),
        ),
        Err(error) => {
            tracing::warn!(%error, "not ready: storage");
            (
                Check::fail("the database does not answer: see the log"),
                Check::fail("unknown while the database is away"),
            )
        }
    };
    // Behind the database, every request is refused.
    if storage.ok && core.registry.freshness().await != Freshness::Confirmed {
        storage = Check::fail("changes in the database cannot be followed: see the log");
    }
    let signing_keys = match core.registry.missing_signing_keys() {
        None => Check::pass("every class has an active key"),
        Some(missing) => Check::fail(missing),
    };
    Checks { storage, migrations, signing_keys }
}
