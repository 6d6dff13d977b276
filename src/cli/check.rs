//! `mintmark check`: the settings in force, where each was set, and warnings about settings that are often mistakes.

use clap::Args;
use serde_json::{Value, json};

use super::output::{self, Format};
use super::{Failure, Global};
use crate::config::{MasterKey as MasterKeySetting, Problem, Settings, SettingsError, Source};
use crate::vault::master::{MasterKey, MasterKeyError};

/// Show and check the settings, secrets redacted
///
/// If settings are invalid, it lists all problems and exits with code 2. It reads the master key if there is one, and does
/// not open the database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark --config prod.toml check
  mintmark check --json | jq .settings")]
pub(super) struct Check {
    #[command(flatten)]
    format: Format,
}

impl Check {
    pub(super) fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings_or_problems().and_then(|settings| {
            master_key_problem(&settings)
                .map_or(Ok(settings), |problem| Err(SettingsError { problems: vec![problem] }))
        });
        match settings {
            Ok(settings) if self.format.json => {
                let document =
                    json!({ "ok": true, "settings": settings.effective(), "warnings": warnings(&settings) });
                Ok(output::json(&document)?)
            }
            Ok(settings) => Ok(print(&settings)?),
            Err(error) if self.format.json => {
                output::json(&json!({ "ok": false, "problems": error.problems }))?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn print(settings: &Settings) -> std::io::Result<()> {
    let effective = settings.effective();
    let width = effective.iter().map(|set| set.key.len()).max().unwrap_or(0);
    for set in effective {
        let value = match &set.value {
            Value::String(text) if text.is_empty() => "(not set)".to_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let source = match set.source {
            Source::Default => "",
            Source::File => "  (file)",
            Source::Env => "  (env)",
        };
        output::line(format_args!("{:width$}  {value}{source}", set.key))?;
    }
    for warning in warnings(settings) {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

/// The problem with the configured master key. A file at the default path that does not exist is not one: it is created at
/// the first start.
fn master_key_problem(settings: &Settings) -> Option<Problem> {
    let (key, error) = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => {
            ("keys.master_key", MasterKey::parse(text.expose()).map_err(MasterKeyError::Text).err()?)
        }
        MasterKeySetting::File { path, explicit } if *explicit || path.exists() => {
            ("keys.master_key_file", MasterKey::read(path).err()?)
        }
        MasterKeySetting::File { .. } => return None,
    };
    // The second sentence of these errors says what to do.
    let text = error.to_string();
    let (reason, remedy) =
        text.split_once(". ").unwrap_or((&text, "Set it to the master key of this database"));
    Some(Problem { key: key.to_owned(), set_by: None, reason: reason.to_owned(), remedy: remedy.to_owned() })
}

/// Settings that are valid but often a mistake.
fn warnings(settings: &Settings) -> Vec<String> {
    let server = &settings.server;
    let mut warnings = Vec::new();
    let addresses =
        [("server.listen", Some(server.listen)), ("server.management_listen", server.management_listen)];
    for (name, address) in addresses {
        if let Some(address) = address.filter(|address| server.tls.is_none() && !address.ip().is_loopback()) {
            warnings.push(format!(
                "{name} = {address} serves plain http to the network: secrets and tokens are safe only if all \
                 connections come from a proxy that terminates TLS. Otherwise set server.tls"
            ));
        }
    }
    if server.public_url.is_loopback() && !server.listen.ip().is_loopback() {
        warnings.push(format!(
            "server.public_url = {} is loopback, but server.listen is not: other machines cannot reach the issuer. \
             Set server.public_url to the https URL that they use",
            server.public_url
        ));
    }
    if server.public_url.is_https() && server.tls.is_none() && server.trusted_proxies.is_empty() {
        warnings.push(
            "server.public_url is https and server.tls is not set, so a proxy must terminate TLS, but \
             server.trusted_proxies is empty: all requests seem to come from the proxy, also for allowed_ips. Set \
             server.trusted_proxies to the network of the proxy"
                .to_owned(),
        );
    }
    warnings
}
