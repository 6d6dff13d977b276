//! `mintmark check`: the settings in force, where each was set, and warnings about settings that are often mistakes.

use clap::Args;
use serde_json::{Value, json};

use super::output::{self, Format};
use super::{Failure, Global};
use crate::app::{Finding, inspect, inspect_open_files, inspect_smtp};
use crate::config::{MasterKey as MasterKeySetting, Problem, Settings, SettingsError, Source};
use crate::model::clock::SystemClock;
use crate::vault::master::{MasterKey, MasterKeyError};

/// Show and check the settings, with secrets redacted
///
/// If settings are invalid, it lists all problems and exits with code 2. It also reads the master key, if there is one. It
/// opens the database only with --connect: then it checks that the database answers, has a schema that this program can use,
/// is opened by the master key, and has the same time as this machine; that the mail server accepts a connection; and how many
/// files may be open. If one of these checks fails, it exits with code 1. Nothing is created, changed or sent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark --config prod.toml check
  mintmark --config prod.toml check --connect
  mintmark check --json | jq .settings")]
pub(super) struct Check {
    /// Also check the database, its master key, the clocks, the mail server and the limit of open files
    #[arg(long)]
    connect: bool,
    #[command(flatten)]
    format: Format,
}

impl Check {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings_or_problems().and_then(|settings| {
            master_key_problem(&settings)
                .map_or(Ok(settings), |problem| Err(SettingsError { problems: vec![problem] }))
        });
        match settings {
            Ok(settings) => {
                let findings = if self.connect { Some(look(&settings).await) } else { None };
                self.print(&settings, findings.as_deref())?;
                match findings.iter().flatten().find(|found| !found.ok) {
                    Some(found) => Err(Failure::Fault(format!("{}: {}", found.what, found.detail))),
                    None => Ok(()),
                }
            }
            Err(error) if self.format.json => {
                output::json(&json!({ "ok": false, "problems": error.problems }))?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Check {
    fn print(&self, settings: &Settings, findings: Option<&[Finding]>) -> std::io::Result<()> {
        if !self.format.json {
            print(settings)?;
            for Finding { what, ok, detail } in findings.unwrap_or_default() {
                output::line(format_args!("{:10}  {what}: {detail}", if *ok { "ok" } else { "FAILED" }))?;
            }
            return Ok(());
        }
        let ok = findings.unwrap_or_default().iter().all(|found| found.ok);
        let mut document =
            json!({ "ok": ok, "settings": settings.effective(), "warnings": warnings(settings) });
        if let (Some(findings), Some(members)) = (findings, document.as_object_mut()) {
            let found =
                |Finding { what, ok, detail }: &Finding| json!({ "check": what, "ok": ok, "detail": detail });
            members.insert("connected".to_owned(), findings.iter().map(found).collect());
        }
        output::json(&document)
    }
}

/// What `--connect` checks.
async fn look(settings: &Settings) -> Vec<Finding> {
    let mut findings = inspect(settings, &SystemClock).await;
    findings.extend(inspect_smtp(settings).await);
    findings.push(inspect_open_files(settings));
    findings
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

/// The problem with the configured master key. If the file at the default path does not exist, that is not a problem: the
/// first start creates the file.
fn master_key_problem(settings: &Settings) -> Option<Problem> {
    let (key, error) = match &settings.keys.master_key {
        MasterKeySetting::Inline(text) => {
            ("keys.master_key", MasterKey::parse(text.expose()).map_err(MasterKeyError::Text).err()?)
        }
        MasterKeySetting::File { path, explicit } if *explicit || path.exists() => {
            let error = match MasterKey::read(path).err()? {
                // The database was not opened, so it is not known whether it has a master key already.
                MasterKeyError::Missing(path) => MasterKeyError::NamedMissing(path),
                error => error,
            };
            ("keys.master_key_file", error)
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
