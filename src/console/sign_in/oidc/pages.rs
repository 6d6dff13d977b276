//! What a person reads when a sign-in by a provider does not succeed.

use actix_web::http::StatusCode;

use super::super::super::door::Door;
use super::super::super::stop::{Stop, sentence};
use super::provider::Provider;
use super::refused::Refused;

/// The provider cannot be used, because its metadata or its keys cannot be read.
pub(super) fn unusable(door: &Door, provider: &Provider, why: &Refused) -> Stop {
    let name = &provider.settings.name;
    tracing::warn!(provider = name, %why, "a provider of operators cannot be used");
    let page = Stop::new(
        StatusCode::BAD_GATEWAY,
        format!("Sign-in with {name} does not work right now"),
        "Nothing was changed. Try again in a minute, or sign in another way. If this keeps happening, show this to an administrator of this server.",
    );
    another_way(door, page.with_details(vec![sentence(&why.to_string())]))
}

/// What the provider sent is not valid.
pub(super) fn refused(door: &Door, name: &str, why: &Refused) -> Stop {
    tracing::warn!(provider = name, %why, "a sign-in by a provider was refused");
    let page = Stop::forbidden(
        format!("The answer of {name} was not accepted"),
        "Nothing was changed. Begin again; if this keeps happening, show this to an administrator of this server.",
    );
    another_way(door, page.with_details(vec![sentence(&why.to_string())]))
}

/// The provider itself refused.
pub(super) fn provider_refused(door: &Door, name: &str, why: &str) -> Stop {
    tracing::info!(provider = name, why, "a provider refused a sign-in");
    let page = Stop::forbidden(
        format!("{name} did not sign you in"),
        "Nothing was changed. Begin again, or sign in another way.",
    );
    another_way(door, page.with_details(vec![format!("{name} says: {why}")]))
}

/// There is no such attempt: it was used, is too old, or never began.
pub(super) fn over(door: &Door) -> Stop {
    let page = Stop::new(
        StatusCode::BAD_REQUEST,
        "This sign-in is over",
        "It was finished already, or took longer than ten minutes. Begin again.",
    );
    another_way(door, page)
}

/// The attempt belongs to another browser or another session, or its link is not from a page of the console.
pub(super) fn began_elsewhere(door: &Door) -> Stop {
    tracing::warn!(
        "a sign-in by a provider that did not begin in this browser and session of the console was refused"
    );
    let page = Stop::forbidden(
        "This sign-in began somewhere else",
        "It can be finished only in the browser in which it began, and only from a page of the console. Nothing was changed. Begin again.",
    );
    another_way(door, page)
}

/// No operator can sign in with this account. The page does not say whether an operator has its address or is disabled.
pub(super) fn no_operator(door: &Door, name: &str) -> Stop {
    let page = Stop::forbidden(
        format!("This account at {name} cannot be used here"),
        "No operator signs in with it. If you can sign in another way, do so and link it under Your account. Else ask a platform administrator for a setup link.",
    );
    another_way(door, page)
}

/// The claims lack something that an administrator of the account can add.
pub(super) fn lacking(door: &Door, name: &str, lacks: &str) -> Stop {
    let page = Stop::forbidden(
        format!("{name} gives you no access here"),
        "The sign-in was refused. Show this to an administrator of your account there.",
    );
    another_way(door, page.with_details(vec![lacks.to_owned()]))
}

/// The fresh sign-in was with the account of another operator.
pub(super) fn somebody_else(door: &Door, name: &str) -> Stop {
    Stop::forbidden(
        "That was another account",
        format!("Your session goes on. Confirm with your own account at {name}, or in another way."),
    )
    .then(door.base.clone(), "Back to the console")
}

/// The setup link of the attempt no longer works.
pub(super) fn link_is_used_up() -> Stop {
    Stop::gone(
        "This link does not work any more",
        "It may have been used or replaced by a newer one, it may be older than 24 hours, or your account may be disabled. If you have set up a way to sign in, use that. Else ask a platform administrator for a new link.",
    )
}

fn another_way(door: &Door, page: Stop) -> Stop {
    page.then(door.href("/sign-in"), "Go to the sign-in page")
}
