//! The program: reads the command line, runs the command, and says how it went by its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use mintmark::cli::Cli;

fn main() -> ExitCode {
    // Before anything could ask rustls for a provider and find none.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("mintmark: another provider of cryptography was there first");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    // Requests are served by threads of their own, so few are needed for the rest.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli.run());
            // Whatever still runs was told to end at once.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("mintmark: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}
