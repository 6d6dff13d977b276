//! Why a command failed: a message for people and an exit code for scripts.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use crate::app::StartError;
use crate::config::SettingsError;
use crate::kernel;
use crate::model::field_errors::FieldError;

/// How long a message may take to be read.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Failure {
    /// Invalid options, values or settings. Exit code 2, as for options that do not parse.
    Usage(String),
    /// The command is valid but failed. Exit code 1.
    Fault(String),
    /// The reader of the output closed it, as `head` does. Exit code 0.
    OutputClosed,
}

impl Failure {
    /// Prints the message to standard error.
    pub(super) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Self::Usage(message) => (message, ExitCode::from(2)),
            Self::Fault(message) => (message, ExitCode::FAILURE),
            Self::OutputClosed => return ExitCode::SUCCESS,
        };
        // By a thread: a reader of standard error who stalls does not keep the process.
        let (written, is_written) = mpsc::channel();
        std::thread::spawn(move || {
            eprintln!("mintmark: {message}");
            let _ = written.send(());
        });
        let _ = is_written.recv_timeout(PATIENCE);
        code
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
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
        use kernel::Error as E;
        match error {
            E::Invalid(invalid) => Self::Usage(all_problems("invalid", &invalid)),
            E::NotSupportedYet(invalid) => Self::Usage(all_problems("not supported yet", &invalid)),
            E::NotFound(what) => Self::Fault(match list_command(what) {
                Some(command) => format!("{what} not found. List them with `{command}`"),
                None => format!("{what} not found"),
            }),
            error => Self::Fault(in_options(&error.to_string())),
        }
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

/// The command that lists the nouns of which one was not found.
fn list_command(what: &str) -> Option<&'static str> {
    Some(match what {
        "workspace" => "mintmark workspaces list",
        "product" => "mintmark products list",
        "API client" => "mintmark clients list WORKSPACE_ID",
        "access token" => "mintmark tokens list CLIENT_ID",
        "client secret" => "mintmark clients show CLIENT_ID",
        "signing key" => "mintmark keys list",
        _ => return None,
    })
}

/// All problems, one per line if there are several, with `token_expiry.seconds` for the pointer `/token_expiry/seconds`.
fn all_problems(what: &str, invalid: &[FieldError]) -> String {
    let sentence = |one: &FieldError| {
        format!("{} {}", one.pointer.trim_start_matches('/').replace('/', "."), in_options(&one.detail))
    };
    match invalid {
        [one] => format!("{what}: {}", sentence(one)),
        several => several.iter().fold(format!("{what}:"), |text, one| text + "\n  " + &sentence(one)),
    }
}

/// The rules name parameters of the management API; here they become options and commands.
fn in_options(text: &str) -> String {
    [
        ("?force=true", "--force"),
        ("?revoke_tokens=true", "--revoke-tokens"),
        ("POST /v1/signing-keys", "`mintmark keys create`"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Error as E;

    fn said(error: E) -> (String, bool) {
        match Failure::from(error) {
            Failure::Usage(text) => (text, true),
            Failure::Fault(text) => (text, false),
            Failure::OutputClosed => unreachable!(),
        }
    }

    #[test]
    fn problems_name_options() {
        let one = FieldError::new("/token_expiry/seconds", "must be from 60 to 31536000");
        let (text, usage) = said(E::Invalid(vec![one.clone()]));
        assert_eq!(
            (text.as_str(), usage),
            ("invalid: token_expiry.seconds must be from 60 to 31536000", true)
        );
        let (text, _) = said(E::Invalid(vec![one, FieldError::new("/label", "is required")]));
        assert!(text.ends_with("\n  label is required"), "{text}");
        let (text, usage) = said(E::Conflict("repeat with ?force=true".to_owned()));
        assert_eq!((text.as_str(), usage), ("repeat with --force", false));
    }

    #[test]
    fn not_found_names_the_command_that_lists() {
        let (text, usage) = said(E::NotFound("product"));
        assert_eq!(
            (text.as_str(), usage),
            ("product not found. List them with `mintmark products list`", false)
        );
    }
}
