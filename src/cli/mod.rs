//! The command line (`design.md` §7), one file for each command. For operators, scripts and containers.
//!
//! Commands work on the configured database directly, beside a serving process or without one; what they change is in
//! force there within a second. Results, and secrets, go to standard output; everything else to standard error.

mod bootstrap;
mod check;
mod failure;
mod healthcheck;
mod migrate;
mod opened;
mod output;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Settings, SettingsError};
use failure::Failure;

/// Mintmark issues the access tokens that machines use to call a company's products.
///
/// Without a command it serves, like `mintmark serve`.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Settings: built-in defaults, then --config FILE, then variables such as MINTMARK__SERVER__LISTEN=0.0.0.0:8080.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings. Results and secrets go to standard output, all else to
standard error. With --json a command that succeeds prints one JSON document.

Examples:
  mintmark                          serve on http://127.0.0.1:8080, data in ./data
  mintmark bootstrap                make the first API client that may manage
  mintmark --config prod.toml check look at the settings before they are used";

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Read settings from this TOML file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Global {
    /// The settings in force.
    fn settings(&self) -> Result<Settings, Failure> {
        Ok(self.settings_or_problems()?)
    }

    fn settings_or_problems(&self) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref(), config::environment())
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Args)]
struct Format {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve(serve::Serve),
    /// Show the settings in force, secrets redacted; fails if they are wrong
    Check(check::Check),
    /// Bring the schema of the database up to date
    Migrate(migrate::Migrate),
    /// Make the first API client that may manage Mintmark; changes nothing if there is one
    Bootstrap(bootstrap::Bootstrap),
    /// Ask the server on this machine whether it is alive
    Healthcheck(healthcheck::Healthcheck),
}

impl Cli {
    /// Runs the command. What went wrong is said on standard error.
    pub async fn run(self) -> ExitCode {
        let global = &self.global;
        let outcome = match self.command.unwrap_or(Command::Serve(serve::Serve {})) {
            Command::Serve(command) => command.run(global).await,
            Command::Check(command) => command.run(global),
            Command::Migrate(command) => command.run(global).await,
            Command::Bootstrap(command) => command.run(global).await,
            Command::Healthcheck(command) => command.run(global).await,
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.tell(),
        }
    }
}
