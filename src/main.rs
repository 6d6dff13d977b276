//! The program: reads the command line, runs the command and returns its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use mintmark::cli::Cli;

fn main() -> ExitCode {
    // First of all, because rustls and reqwest need an installed provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("mintmark: another rustls crypto provider is already installed");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    // Requests are served by the threads of actix-web, so few are needed for the rest.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli.run());
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
