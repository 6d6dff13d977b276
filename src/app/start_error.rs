//! The errors of opening and serving.

use thiserror::Error;

use crate::delivery::BadCertificates;
use crate::kernel::Error as ServiceError;
use crate::services::AssemblyError;
use crate::storage::StorageError;
use crate::vault::master::MasterKeyError;
use crate::vault::random::RandomUnavailable;
use crate::vault::seal::SealError;

/// Why the service does not start, or cannot serve.
#[derive(Debug, Error)]
pub enum StartError {
    /// The database cannot be opened, migrated or read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no usable master key, or it belongs to another database.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// Sealed data of the database cannot be decrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The system has no random numbers.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// A service failed, for example when it created the first records.
    #[error(transparent)]
    Services(#[from] ServiceError),
    /// The issuer identifier is invalid.
    #[error("server.public_url: {0}")]
    Issuer(String),
    /// The TLS certificate or its key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The CA certificates for the mail server (`smtp.ca_file`) cannot be used.
    #[error(transparent)]
    Smtp(#[from] BadCertificates),
    /// The server could not be run.
    #[error("cannot serve: {0}")]
    Io(#[from] std::io::Error),
}

impl From<AssemblyError> for StartError {
    fn from(error: AssemblyError) -> Self {
        match error {
            AssemblyError::Service(error) => Self::Services(error),
            AssemblyError::Issuer(why) => Self::Issuer(why),
        }
    }
}
