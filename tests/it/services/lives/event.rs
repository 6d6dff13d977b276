//! Events of clients, tokens, keys and the service, and random sequences of events.

use std::ops::Range;

use mintmark::model::key::UseFor;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// The length starts at 0, so that a failing sequence can be shortened to the events that are needed.
const LENGTH: Range<usize> = 0..80;
pub(super) const DAY: i64 = 86_400;

/// An event. A `usize` selects a client by its index, modulo the number of clients; for `Revoke`, it selects a token in this
/// way.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A client requests a token for everything that it is granted.
    Issue(usize),
    /// A client requests a token for `gst`.
    IssueGst(usize),
    /// A client requests a token with a wrong secret.
    Guess(usize),
    /// An administrator generates a token for a client.
    Generate(usize),
    Revoke(usize),
    RevokeAll(usize),
    /// An administrator removes the product `gst` from a client.
    TakeProduct(usize),
    Disable(usize),
    /// An administrator disables a client that has changed since it was read.
    DisableOutdated(usize),
    Enable(usize),
    /// An administrator sets when a client expires: in this many seconds.
    EndIn(usize, i64),
    /// An administrator removes the expiry of a client.
    EndNever(usize),
    /// An administrator suspends the workspace of all clients.
    Suspend,
    Resume,
    Rotate(UseFor),
    /// An administrator deletes the active key of a class and revokes its tokens.
    DeleteKey(UseFor),
    /// This many seconds pass.
    Pass(i64),
    ApplyDueChanges,
    Housekeeping,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let class = || prop_oneof![Just(UseFor::Expiring), Just(UseFor::NeverExpiring)];
    let place = || any::<usize>();
    prop_oneof![
        10 => place().prop_map(Event::Issue),
        2 => place().prop_map(Event::IssueGst),
        1 => place().prop_map(Event::Guess),
        2 => place().prop_map(Event::Generate),
        4 => place().prop_map(Event::Revoke),
        1 => place().prop_map(Event::RevokeAll),
        1 => place().prop_map(Event::TakeProduct),
        1 => place().prop_map(Event::Disable),
        1 => place().prop_map(Event::DisableOutdated),
        2 => place().prop_map(Event::Enable),
        2 => (place(), 60..2 * DAY).prop_map(|(client, seconds)| Event::EndIn(client, seconds)),
        1 => place().prop_map(Event::EndNever),
        1 => Just(Event::Suspend),
        2 => Just(Event::Resume),
        2 => class().prop_map(Event::Rotate),
        1 => class().prop_map(Event::DeleteKey),
        4 => prop_oneof![1..600_i64, 3_000..5_000_i64, DAY..3 * DAY, 35 * DAY..40 * DAY].prop_map(Event::Pass),
        3 => Just(Event::ApplyDueChanges),
        3 => Just(Event::Housekeeping),
        1 => Just(Event::Restart),
    ]
}

pub(super) fn sequences() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(event(), LENGTH)
}
