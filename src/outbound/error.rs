//! Why a request to another host has no reply.

/// Why a request to another host has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The URL is not one that may be requested, for this reason.
    #[error("the URL cannot be requested: {0}")]
    Url(&'static str),
    /// The host is not public and not in `outbound.allow`. The message says nothing else, so that nobody learns what is inside
    /// a network.
    #[error("address not allowed")]
    NotAllowed,
    /// The time was up.
    #[error("no reply in time")]
    TimedOut,
    /// The reply is longer than this many bytes.
    #[error("the reply is longer than {0} bytes")]
    TooLarge(usize),
    /// Any other failure, such as no connection, no trusted certificate, or a reply that is not HTTP.
    #[error("{0}")]
    Failed(String),
}

/// The error of the resolver when no address of a name may be reached. It becomes the cause of the HTTP client's own error.
#[derive(Debug, thiserror::Error)]
#[error("address not allowed")]
pub(super) struct Refused;

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        let is_timeout = error.is_timeout();
        // The caller knows the URL, which may have a secret in its query.
        let error = error.without_url();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        if causes.clone().any(<dyn std::error::Error>::is::<Refused>) {
            Self::NotAllowed
        } else if is_timeout {
            Self::TimedOut
        } else {
            Self::Failed(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
        }
    }
}
