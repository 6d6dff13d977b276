//! Why a command failed: the message for the person at the terminal, and the exit code for scripts.

use std::io;
use std::process::ExitCode;

use crate::app::StartError;
use crate::config::SettingsError;
use crate::registry;

/// A command that did not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked makes no sense: options, values or settings. Exit code 2, as for options that do not parse.
    Usage(String),
    /// It made sense and did not happen. Exit code 1.
    Fault(String),
    /// Whoever read our output went away, as `head` does.
    Unheard,
}

impl Failure {
    /// Says it on standard error.
    pub(super) fn tell(self) -> ExitCode {
        let (message, code) = match self {
            Self::Usage(message) => (message, ExitCode::from(2)),
            Self::Fault(message) => (message, ExitCode::FAILURE),
            Self::Unheard => return ExitCode::SUCCESS,
        };
        eprintln!("mintmark: {message}");
        code
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Usage(format!("{error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Registry(error) => error.into(),
            error => Self::Fault(error.to_string()),
        }
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        use registry::Error as E;
        match error {
            E::Invalid(_) | E::NotSupportedYet(_) => Self::Usage(error.to_string()),
            error => Self::Fault(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output, the only input and output that commands do without words of their own.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unheard,
            _ => Self::Fault(format!("cannot write the result: {error}")),
        }
    }
}
