//! Which version of a record the caller expects when it changes the record (`If-Match`, RFC 9110 §13.1.1).

use super::Error;

/// Which versions of a record the caller is willing to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any version.
    #[default]
    None,
    /// One of these.
    Versions(Vec<i64>),
}

impl Precondition {
    /// Checks the version that the changing transaction has locked.
    ///
    /// # Errors
    /// [`Error::Changed`].
    pub(crate) fn check(&self, version: i64) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Versions(versions) if versions.contains(&version) => Ok(()),
            Self::Versions(_) => Err(Error::Changed),
        }
    }
}
