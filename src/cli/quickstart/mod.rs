//! `mintmark quickstart`: a demo that shows each step from an empty folder to a verified token.

mod demo;
mod entry;
mod http;
mod steps;

use std::sync::Arc;

use clap::Args;

use super::opened::{key_created, quiet_log};
use super::output::Format;
use super::serve::{Next, Signals, address_of, bind};
use super::{Failure, Global};
use crate::app::{App, Ending, Listeners};
use crate::config::{PublicUrl, Settings};
use crate::model::clock::SystemClock;
use crate::vault::master::Origin;
use demo::Demo;
use entry::Entry;
use steps::Steps;

/// Run a demo on this machine: from an empty folder to a verified token
///
/// It starts the server, creates the workspace `demo` with two products and an API client, requests an access token over
/// HTTP, verifies the token with the published keys, and prints each step with the command that repeats it; the last one is
/// a link that opens the console. Then it keeps serving. A second run replaces the secret of the demo client. It refuses to
/// run if server.public_url is not loopback, because it prints a working secret.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark quickstart
  MINTMARK__SERVER__LISTEN=127.0.0.1:9000 mintmark quickstart
  mintmark quickstart --once --json | jq -r .access_token")]
pub(super) struct Quickstart {
    /// Stop after verifying the token
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    format: Format,
}

impl Quickstart {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let (mut settings, listeners) = bind(global)?;
        must_be_local(&settings)?;
        // So that a password is enough to try the console.
        settings.console.second_factor_required = false;
        name_console(&mut settings);
        quiet_log(&settings);
        let signals = Signals::listen()?;
        let app = App::build(settings.clone(), Arc::new(SystemClock)).await?;
        if let Origin::Created(path) = &app.core().master_key_origin {
            eprintln!("mintmark: {}\n", key_created(path));
        }
        let management = management_url(&settings, &listeners)?;
        let services = Arc::clone(&app.core().services);
        let config = global.config.clone();
        let show = async move {
            let demo = Demo::prepare(&services).await?;
            let exchanged = http::exchange(&settings, &demo).await?;
            let claims = http::verify(&settings, &exchanged.access_token).await?;
            let manager = services.tenants.first_manager().await?;
            let entry = Entry::prepare(&services, &settings, &demo.client_id).await?;
            let steps =
                Steps { settings: &settings, management, config, demo, exchanged, claims, manager, entry };
            let printed = if self.format.json { steps.print_json() } else { steps.print(self.once) };
            printed?;
            Ok(if self.once { Next::Stop } else { Next::Serve })
        };
        Box::pin(signals.serve(app, listeners, Ending::AtOnce, show)).await
    }
}

/// The demo is for this machine only, over plain HTTP, so that `curl` needs no certificate.
fn must_be_local(settings: &Settings) -> Result<(), Failure> {
    let url = &settings.server.public_url;
    if !url.is_loopback() {
        return Err(Failure::Usage(format!(
            "quickstart prints a working secret, so it runs only on a loopback address, but server.public_url is {url}. \
             Remove that setting for the demo. For a real service run `mintmark serve` and `mintmark bootstrap`"
        )));
    }
    if url.is_https() {
        return Err(Failure::Usage(format!(
            "quickstart uses plain http, but server.public_url is {url}. Remove that setting and server.tls for the demo"
        )));
    }
    Ok(())
}

/// Passkeys are bound to a host name, which an IP address is not. So the console of the demo is at `localhost` even if the
/// issuer is at a loopback address, unless the console has a separate listener.
fn name_console(settings: &mut Settings) {
    let server = &mut settings.server;
    let url =
        server.public_url.origin().replace("//127.0.0.1", "//localhost").replace("//[::1]", "//localhost");
    let named = PublicUrl::parse(&url);
    if server.management_listen.is_none() {
        server.management_url = named.ok();
    }
}

/// The base URL of `/v1`.
fn management_url(settings: &Settings, listeners: &Listeners) -> Result<String, Failure> {
    Ok(match &listeners.management {
        Some(listener) => format!("http://{}", address_of(listener)?),
        None => settings.server.public_url.to_string(),
    })
}
