//! Why the settings are refused: all problems together, each with its key, the reason and what to do.

use std::fmt;

use serde::Serialize;

/// One setting that is refused. Values of secret settings never appear in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The dotted name of the setting (`server.public_url`); or the name of a variable that sets no setting, or of a file that
    /// cannot be read.
    pub key: String,
    /// The file or variable that set the refused value; `None` if it is a default, or if `key` is that file or variable.
    pub set_by: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(set_by) = &self.set_by {
            write!(f, " (set by {set_by})")?;
        }
        let end = if self.remedy.ends_with('?') { "" } else { "." };
        write!(f, ": {}. {}{end}", self.reason, self.remedy)
    }
}

/// All problems of the settings, at least one, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingsError {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [problem] => write!(f, "invalid settings: {problem}"),
            problems => {
                write!(f, "invalid settings, {} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for SettingsError {}
