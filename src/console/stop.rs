//! The error type of the console. It says what happened and what the next step is; `error_page` shows both.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::kernel::Error;
use crate::model::field_errors::FieldError;

/// Why a request does not get its page. The reply is an error page, or a redirect.
#[derive(Debug)]
pub struct Stop {
    pub(super) status: StatusCode,
    pub(super) said: Box<Said>,
}

/// What the error page says, or where the redirect leads.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) heading: Cow<'static, str>,
    pub(super) text: Cow<'static, str>,
    pub(super) details: Vec<String>,
    pub(super) next: Option<Next>,
    /// `Allow` of a 405.
    pub(super) allow: Option<String>,
    /// Set for a redirect, which has no page.
    pub(super) location: Option<String>,
}

/// The next step, a link.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) href: String,
    pub(super) name: Cow<'static, str>,
}

impl Stop {
    pub(super) fn new(
        status: StatusCode,
        heading: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let said = Said { heading: heading.into(), text: text.into(), ..Said::default() };
        Self { status, said: Box::new(said) }
    }

    /// 303 to another page.
    pub(super) fn go_to(href: impl Into<String>) -> Self {
        let said = Said { location: Some(href.into()), ..Said::default() };
        Self { status: StatusCode::SEE_OTHER, said: Box::new(said) }
    }

    /// Adds the next step, a link.
    #[must_use]
    pub(super) fn then(mut self, href: impl Into<String>, name: impl Into<Cow<'static, str>>) -> Self {
        self.said.next = Some(Next { href: href.into(), name: name.into() });
        self
    }

    /// Adds lines below the text.
    #[must_use]
    pub(super) fn with_details(mut self, details: Vec<String>) -> Self {
        self.said.details = details;
        self
    }

    /// 404
    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Page not found",
            "It may have been deleted, or it belongs to a workspace that you have no role in. If you typed the address, check it.",
        )
    }

    /// 403
    pub(super) fn forbidden(
        heading: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::FORBIDDEN, heading, text)
    }

    /// 403 for a suspended workspace: only platform administrators can open it.
    pub(super) fn suspended() -> Self {
        Self::forbidden(
            "This workspace is suspended",
            "Nobody but platform administrators can open it. Ask one of them to make it active again.",
        )
    }

    /// 410
    pub(super) fn gone(heading: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GONE, heading, text)
    }

    /// 503
    pub(super) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is not available right now",
            "It cannot reach its database or confirm its state. A change that you sent may be done in part: wait a few seconds, look \
             at what is there now, and repeat it.",
        )
    }

    /// The page for an error that is no [`Stop`], such as a path or a query that actix cannot read.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            status if status.is_client_error() => {
                Self::new(status, "This request cannot be read", "Go back, reload the page, and try again.")
            }
            _ => Self::unavailable(),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said.heading)
    }
}

impl ResponseError for Stop {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// Without a page: [`super::finish`] replaces it.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).finish()
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match &error {
            Error::NotFound(_) | Error::NotFoundAmong(_) => Self::not_found(),
            Error::Conflict(why) => Self::new(StatusCode::CONFLICT, "This cannot be done now", sentence(why)),
            Error::Invalid(errors) | Error::NotSupportedYet(errors) => {
                let named = |e: &FieldError| format!("{} {}", e.pointer.trim_start_matches('/'), e.detail);
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "Some values are not valid",
                    "Nothing was changed. Go back, correct these, and send the form again.",
                )
                .with_details(errors.iter().map(named).collect())
            }
            // The text of the service is for API clients; this one is for operators.
            Error::Denied(why) if why.contains("`platform`") => Self::forbidden(
                "You cannot do this",
                "Only platform administrators can. Ask one of them, or use an account with that role.",
            ),
            Error::Denied(why) => Self::forbidden("You cannot do this", sentence(why)),
            Error::Lacks(_) => Self::forbidden(
                "You can look, but not change",
                "Your role in this workspace is viewer. Ask one of its administrators to do this, or to change your role.",
            ),
            Error::LacksSome { .. } => Self::forbidden(
                "Your role is not enough for this API client",
                "The API client has permissions on Mintmark itself that your role does not have. A platform administrator can do this.",
            ),
            Error::Changed => Self::new(
                StatusCode::CONFLICT,
                "Somebody changed this in the meantime",
                "Nothing of yours was saved. Open the page again to see what is there now, then repeat your change.",
            ),
            Error::AlreadyAnswered | Error::ChangedAgain => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Something else changed this at the same moment",
                "Nothing of yours was saved. Go back and send the form again.",
            ),
            Error::NotCovered => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "No checkpoint covers this yet",
                "The audit trail is signed every minute. Wait a minute, then open the page again.",
            ),
            Error::Clock(why) => {
                tracing::warn!(failure = error.kind(), "refused: {why}");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The clock of this server cannot be trusted",
                    "Nothing was changed. The log of the server says what is wrong; an administrator of the machine has to look at it.",
                )
            }
            Error::Stale => {
                tracing::warn!(failure = error.kind(), %error, "refused: what is in memory may be out of date");
                Self::unavailable()
            }
            Error::Storage(_) | Error::SharedTransaction(_) | Error::Crypto(_) => {
                tracing::error!(failure = error.kind(), %error, "a request of the console failed");
                Self::unavailable()
            }
        }
    }
}

/// The text with a capital first and a full stop at the end.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut whole: String =
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect());
    if !whole.ends_with(['.', '!', '?']) {
        whole.push('.');
    }
    whole
}

/// 405; `allow` lists the methods that the page has (RFC 9110 §15.5.6).
pub fn method_not_allowed(allow: &str) -> Stop {
    let (heading, text) = if allow.contains("GET") {
        (
            "This page does not take what was sent",
            "Nothing was changed. Open the page again, and use the links and buttons on it.",
        )
    } else {
        (
            "This address is for a button",
            "It does something when a form is sent to it, and shows nothing by itself. Go back to the page you came from.",
        )
    };
    let mut stop = Stop::new(StatusCode::METHOD_NOT_ALLOWED, heading, text);
    stop.said.allow = Some(allow.to_owned());
    stop
}

/// Answers an address of the console that has no page.
///
/// # Errors
/// Always 404.
pub async fn no_page() -> Result<HttpResponse, Stop> {
    Err(Stop::not_found())
}
