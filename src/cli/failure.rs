//! Why a command failed: a message for people, a problem (RFC 9457) with `--json`, and an exit code for scripts.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use super::refusal::Refusal;
use crate::app::StartError;
use crate::config::SettingsError;
use crate::kernel::{self, ProblemKind};

/// How long to wait until the message is written.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Failure {
    /// Invalid options or values. Exit code 2, as for options that do not parse.
    Usage(String),
    /// The command is valid but failed. Exit code 1.
    Fault(String),
    /// Described as a problem. Exit code 2 if the input is not valid, else 1.
    Refused(Box<Refusal>),
    /// The reader of the output closed it, as `head` does. Exit code 0.
    OutputClosed,
}

impl Failure {
    /// Prints the message, or the problem in one line, to standard error.
    pub(super) fn report(self, json: bool) -> ExitCode {
        let refusal = match self {
            Self::Usage(text) => Refusal::of_kind(ProblemKind::Usage, text),
            Self::Fault(text) => Refusal::of_kind(ProblemKind::Failed, text),
            Self::Refused(refusal) => *refusal,
            Self::OutputClosed => return ExitCode::SUCCESS,
        };
        let message =
            if json { refusal.document().to_string() } else { format!("mintmark: {}", refusal.text()) };
        // In a thread, so that a stalled reader of standard error does not block the exit.
        let (written, is_written) = mpsc::channel();
        std::thread::spawn(move || {
            eprintln!("{message}");
            let _ = written.send(());
        });
        let _ = is_written.recv_timeout(PATIENCE);
        if refusal.is_usage() { ExitCode::from(2) } else { ExitCode::FAILURE }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Refusal::of_settings(&error).into()
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Services(error) => error.into(),
            error => Self::Fault(error.to_string()),
        }
    }
}

impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Self {
        Refusal::from(error).into()
    }
}

impl From<io::Error> for Failure {
    /// An error while writing to standard output; other I/O errors get messages of their own.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Fault(format!("cannot write the result: {error}")),
        }
    }
}
