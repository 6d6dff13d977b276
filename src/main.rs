//! The program: reads the command line, runs the command and returns its exit code.

use std::process::ExitCode;

use mintmark::cli::Cli;

fn main() -> ExitCode {
    // This comes first: rustls and reqwest need an installed crypto provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("mintmark: another rustls crypto provider is already installed");
        return ExitCode::FAILURE;
    }
    match Cli::from_arguments() {
        Ok(cli) => cli.run(),
        Err(code) => code,
    }
}
