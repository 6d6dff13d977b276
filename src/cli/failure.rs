//! Why a command failed: the message for the person at the terminal, and the exit code for scripts.

use std::io;
use std::process::ExitCode;

use crate::app::StartError;
use crate::config::SettingsError;
use crate::kernel;
use crate::model::invalid::Invalid;

/// A command that did not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked makes no sense: options, values or settings. Exit code 2, as for options that do not parse.
    Usage(String),
    /// It made sense and did not happen. Exit code 1.
    Fault(String),
    /// Whoever read our output went away, as `head` does. Exit code 0.
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
            E::Invalid(invalid) => Self::Usage(all_of("not accepted", &invalid)),
            E::NotSupportedYet(invalid) => Self::Usage(all_of("not supported yet", &invalid)),
            E::NotFound(what) => Self::Fault(match lister(what) {
                Some(command) => format!("{what} not found: `{command}` shows what there is"),
                None => format!("{what} not found"),
            }),
            error => Self::Fault(in_options(&error.to_string())),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output, the only thing that commands do to files without words of their own.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unheard,
            _ => Self::Fault(format!("cannot write the result: {error}")),
        }
    }
}

/// The command that lists what was not found.
fn lister(what: &str) -> Option<&'static str> {
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

/// Every broken rule, a line each if there are several. `/token_expiry/seconds` reads `token_expiry.seconds` here.
fn all_of(what: &str, invalid: &[Invalid]) -> String {
    let said = |one: &Invalid| {
        format!("{} {}", one.pointer.trim_start_matches('/').replace('/', "."), in_options(&one.detail))
    };
    match invalid {
        [one] => format!("{what}: {}", said(one)),
        several => several.iter().fold(format!("{what}:"), |text, one| text + "\n  " + &said(one)),
    }
}

/// The rules speak of the management API; here the same is said by an option or a command.
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
            Failure::Unheard => unreachable!(),
        }
    }

    #[test]
    fn every_broken_rule_is_told_in_the_words_of_options() {
        let one = Invalid::new("/token_expiry/seconds", "must be from 60 to 31536000");
        let (text, usage) = said(E::Invalid(vec![one.clone()]));
        assert_eq!(
            (text.as_str(), usage),
            ("not accepted: token_expiry.seconds must be from 60 to 31536000", true)
        );
        let (text, _) = said(E::Invalid(vec![one, Invalid::new("/label", "is required")]));
        assert!(text.ends_with("\n  label is required"), "{text}");
        let (text, usage) = said(E::Conflict("repeat with ?force=true".to_owned()));
        assert_eq!((text.as_str(), usage), ("repeat with --force", false));
    }

    #[test]
    fn what_is_not_found_names_the_command_that_lists_it() {
        let (text, usage) = said(E::NotFound("product"));
        assert_eq!(
            (text.as_str(), usage),
            ("product not found: `mintmark products list` shows what there is", false)
        );
    }
}
