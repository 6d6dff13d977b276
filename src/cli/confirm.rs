//! Asks a person at a terminal before something is deleted or revoked. Scripts are not asked.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;

use super::Failure;

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Confirm {
    /// Do not ask for confirmation; without a terminal the command never asks
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Confirm {
    /// Whether to ask: there is a terminal, and `--yes` is not given.
    pub(super) fn asks(self) -> bool {
        !self.yes && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Succeeds if no question is asked or the answer is `y` or `yes`, and fails otherwise. `what` is the question, without the
    /// question mark.
    pub(super) fn ask(self, what: impl fmt::Display) -> Result<(), Failure> {
        if !self.asks() {
            return Ok(());
        }
        let read = || {
            let mut stderr = io::stderr().lock();
            write!(stderr, "{what}? This cannot be undone. [y/N] ")?;
            stderr.flush()?;
            let mut answer = String::new();
            io::stdin().read_line(&mut answer)?;
            Ok(answer)
        };
        let answer: String =
            read().map_err(|error: io::Error| Failure::Fault(format!("cannot read the answer: {error}")))?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Failure::Fault("nothing was changed: the answer was not y".to_owned()))
    }
}
