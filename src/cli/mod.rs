//! The command line (`docs/command-line.md`), one module for each command. For operators, scripts and containers.
//!
//! Commands that need the configured database open it themselves, whether a server is running or not (only `mintmark restore`
//! requires that none is); a running server applies their changes within a second. With `--remote`, commands on records work
//! over the management API instead (`target`). Results, including secrets, go to standard output, everything else to standard
//! error.

#![expect(clippy::doc_markdown, reason = "the comments on commands and options are help, read on a terminal")]

mod audit;
mod backup;
mod bootstrap;
mod check;
mod clients;
mod completion;
mod confirm;
mod failure;
mod generate_master;
mod healthcheck;
mod host_user;
mod http;
mod keys;
mod migrate;
mod opened;
mod operators;
mod output;
mod products;
mod quickstart;
mod refusal;
mod restore;
mod serve;
mod target;
mod tokens;
mod values;
mod version;
mod webhooks;
mod workspaces;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::{self, Settings, SettingsError};
use failure::Failure;

/// Mintmark issues the access tokens that machines use to call a company's products.
///
/// Without a command it starts the server, like `mintmark serve`.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Settings: built-in defaults, then --config FILE, then variables such as
MINTMARK__SERVER__LISTEN=0.0.0.0:8080. `mintmark check` lists them.

Exit codes: 0 success, 1 failure, 2 invalid usage or settings.

Results, including secrets, go to standard output, everything else to standard
error. With --json a command prints one JSON document; an error is a problem
object (RFC 9457), the last line on standard error.

Examples:
  mintmark quickstart                   run a demo, up to a verified token
  mintmark                              start the server on 127.0.0.1:8080
  mintmark bootstrap                    create the first management client
  mintmark operators setup-link EMAIL   create the first console operator
  mintmark --config prod.toml check     show and check the settings
  mintmark help clients                 show the commands on API clients";

/// The heading of the options that many commands have. A command's own options are listed above it.
const COMMON: &str = "Common options";

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Read settings from this TOML file
    #[arg(long, global = true, value_name = "FILE", help_heading = COMMON)]
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

// The help of a command is on its struct: a doc comment here would replace it.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Quickstart(quickstart::Quickstart),
    Check(check::Check),
    Migrate(migrate::Migrate),
    Bootstrap(bootstrap::Bootstrap),
    Workspaces(workspaces::Workspaces),
    Products(products::Products),
    Clients(Box<clients::Clients>),
    Tokens(tokens::Tokens),
    Keys(keys::Keys),
    Operators(operators::Operators),
    Webhooks(webhooks::Webhooks),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Healthcheck(healthcheck::Healthcheck),
    Completion(completion::Completion),
    Version(version::Version),
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// The exit code, after help, the version or an error was printed.
    pub fn from_arguments() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() && wants_json() {
                return Failure::Usage(in_words(&error)).report(true);
            }
            // If the output is closed, there is nowhere to report that.
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        })
    }

    /// Runs the command. Errors go to standard error.
    ///
    /// The runtime is created here and not in `main`, so that the async code is compiled only in the library, and not again in
    /// the program.
    pub fn run(self) -> ExitCode {
        // The server starts threads of its own for requests, so few are needed for the rest.
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => {
                let code = runtime.block_on(self.outcome());
                // After a second signal, work may still be running: do not wait for it.
                runtime.shutdown_background();
                code
            }
            Err(error) => {
                eprintln!("mintmark: cannot start threads: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn outcome(self) -> ExitCode {
        let global = &self.global;
        let outcome = match self.command.unwrap_or(Command::Serve(serve::Serve {})) {
            Command::Serve(command) => command.run(global).await,
            Command::Quickstart(command) => Box::pin(command.run(global)).await,
            Command::Check(command) => command.run(global).await,
            Command::Migrate(command) => command.run(global).await,
            Command::Bootstrap(command) => command.run(global).await,
            Command::Workspaces(command) => command.run(global).await,
            Command::Products(command) => command.run(global).await,
            Command::Clients(command) => command.run(global).await,
            Command::Tokens(command) => command.run(global).await,
            Command::Keys(command) => command.run(global).await,
            Command::Operators(command) => command.run(global).await,
            Command::Webhooks(command) => command.run(global).await,
            Command::Audit(command) => command.run(global).await,
            Command::Backup(command) => command.run(global).await,
            Command::Restore(command) => command.run(global).await,
            Command::Healthcheck(command) => command.run(global).await,
            Command::Completion(command) => command.run(Self::command()),
            Command::Version(command) => command.run(),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(wants_json()),
        }
    }
}

/// Whether `--json` is among the arguments, even if they do not parse.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

/// What is wrong with the arguments, without the usage that follows it on a terminal.
fn in_words(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|mark| text.find(mark)).min();
    let text = end.and_then(|end| text.get(..end)).unwrap_or(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line as a shell splits them, up to a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        let end =
            words.iter().position(|word| ["|", "<", ">"].contains(&word.as_str())).unwrap_or(words.len());
        words.truncate(end);
        words
    }

    /// Visits the program itself and every command that has no subcommands.
    fn leaves(command: &clap::Command, path: &str, visit: &mut impl FnMut(&str, &clap::Command)) {
        if command.get_subcommands().next().is_none() || path.is_empty() {
            visit(path, command);
        }
        for sub in command.get_subcommands() {
            leaves(sub, &format!("{path} {}", sub.get_name()), visit);
        }
    }

    #[test]
    fn clap_finds_no_mistake_in_the_definitions_of_commands() {
        Cli::command().debug_assert();
    }

    /// A `kid` and a `jti` are base64url, so one in 64 begins with a hyphen. The id of a workspace may begin with one too.
    #[test]
    fn an_id_may_begin_with_a_hyphen_but_a_misspelt_option_is_refused() {
        for line in [
            "mintmark keys show -3abc",
            "mintmark keys show --3abc --json",
            "mintmark keys delete -3abc --revoke-tokens --json",
            "mintmark keys delete --revoke-tokens -3abc",
            "mintmark keys revoke -3abc --json",
            "mintmark tokens show CLIENT_ID -3abc --json",
            "mintmark tokens revoke CLIENT_ID --3abc",
            "mintmark workspaces show -w",
            "mintmark workspaces create -w --name W",
            "mintmark clients list -w --json",
            "mintmark clients create -w --label ERP",
            "mintmark audit list --workspace -w",
            "mintmark keys show -3abc --remote https://x.example --token-file t",
        ] {
            if let Err(error) = Cli::try_parse_from(words(line)) {
                panic!("{line}: {error}");
            }
        }
        let line = words("mintmark keys delete -3abc --revoke-tokens");
        let parsed = format!("{:?}", Cli::try_parse_from(line).unwrap());
        assert!(parsed.contains(r#"kid: "-3abc", revoke_tokens: true"#), "{parsed}");
        assert!(Cli::try_parse_from(words("mintmark keys delete -3abc --revoke-token")).is_err());
    }

    #[test]
    fn every_command_has_examples_and_they_parse() {
        let mut seen = 0;
        leaves(&Cli::command(), "", &mut |path, command| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help
                .lines()
                .skip_while(|line| !line.starts_with("Example"))
                .filter_map(|line| line.get(line.find("mintmark ")?..))
                .collect();
            assert!(!examples.is_empty(), "`mintmark{path} --help` has no example");
            // clap breaks longer lines on a terminal of 80 columns, and then they cannot be pasted.
            let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "`mintmark{path} --help`: {long:?}");
            for example in examples {
                let example = example.split("   ").next().unwrap();
                match Cli::try_parse_from(words(example)) {
                    Err(error) if error.use_stderr() => panic!("{example}: {error}"),
                    // clap returns help as an error too (`mintmark help …`), but not one for standard error.
                    _ => seen += 1,
                }
            }
        });
        assert!(seen > 30, "{seen}");
    }
}
