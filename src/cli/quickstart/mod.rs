//! `mintmark quickstart`: the main job done once before your eyes, from nothing to a verified token.

mod demo;
mod http;
mod told;

use std::sync::Arc;

use clap::Args;

use super::opened::{key_created, quiet_log};
use super::output::Format;
use super::serve::{Next, Signals, bind};
use super::{Failure, Global};
use crate::app::{App, Listeners};
use crate::config::Settings;
use crate::model::clock::SystemClock;
use crate::vault::master::Origin;
use demo::Demo;
use told::Steps;

/// From nothing to a verified token: a demo on this machine, which goes on serving.
///
/// Starts the service, makes the workspace `demo` with two products and an API client, exchanges its id and secret for
/// an access token over HTTP, verifies the token from the published keys, and prints each step with the command that
/// repeats it. Run again, it gives the demo client a new secret in place of the old one. It refuses an issuer that
/// others could reach, since the demo secret is printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark quickstart
  MINTMARK__SERVER__LISTEN=127.0.0.1:9000 mintmark quickstart
  mintmark quickstart --once --json | jq -r .access_token")]
pub(super) struct Quickstart {
    /// Stop after the token is verified
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    format: Format,
}

impl Quickstart {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let (settings, listeners) = bind(global)?;
        must_be_local(&settings)?;
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
            let steps = Steps { settings: &settings, management, config, demo, exchanged, claims, manager };
            let told = if self.format.json { steps.print_json() } else { steps.print(self.once) };
            told?;
            Ok(if self.once { Next::Stop } else { Next::Serve })
        };
        Box::pin(signals.serve(app, listeners, show)).await
    }
}

/// The demo is for this machine alone, and over plain http, which every tool on it can speak.
fn must_be_local(settings: &Settings) -> Result<(), Failure> {
    let url = &settings.server.public_url;
    if !url.is_loopback() {
        return Err(Failure::Usage(format!(
            "quickstart prints a secret that works, so it runs only where nobody else can reach it, and \
             server.public_url is {url}. Leave that out for the demo; for a real service run `mintmark serve` and \
             `mintmark bootstrap`"
        )));
    }
    if url.is_https() {
        return Err(Failure::Usage(format!(
            "quickstart speaks plain http on this machine, and server.public_url is {url}. Leave that and server.tls \
             out for the demo"
        )));
    }
    Ok(())
}

/// Where `/v1` is.
fn management_url(settings: &Settings, listeners: &Listeners) -> Result<String, Failure> {
    Ok(match &listeners.management {
        Some(listener) => format!("http://{}", listener.local_addr()?),
        None => settings.server.public_url.to_string(),
    })
}
