//! The names of the API clients and the operators that audit events and lists of tokens mention.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Error, Reader};
use crate::model::audit::{Action, Recorded};
use crate::model::client::ClientName;
use crate::model::token::RecordedToken;
use crate::services::Services;

/// The names of the API clients and operators in a list, as far as its reader may know them, by id.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) clients: BTreeMap<String, ClientName>,
    pub(super) operators: BTreeMap<String, String>,
}

impl Names {
    /// The names that `events` need.
    pub(super) async fn of(services: &Services, reader: &Reader, events: &[Recorded]) -> Result<Self, Error> {
        let (clients, operators) = named(events);
        Ok(Self {
            clients: services.clients.client_names(reader, &clients).await?,
            operators: services.operators.operator_names(reader, &operators).await?,
        })
    }

    /// The names that a list of tokens needs: those of their clients, and of the operators and clients that generated them.
    pub(super) async fn of_tokens(
        services: &Services,
        reader: &Reader,
        tokens: &[RecordedToken],
    ) -> Result<Self, Error> {
        let (mut clients, mut operators) = (BTreeSet::new(), BTreeSet::new());
        for token in tokens {
            clients.insert(token.client_id.as_str());
            add_actor(&token.issued_by, &mut clients, &mut operators);
        }
        let (clients, operators): (Vec<&str>, Vec<&str>) =
            (clients.into_iter().collect(), operators.into_iter().collect());
        Ok(Self {
            clients: services.clients.client_names(reader, &clients).await?,
            operators: services.operators.operator_names(reader, &operators).await?,
        })
    }
}

/// The API clients and the operators that events name.
fn named(events: &[Recorded]) -> (Vec<&str>, Vec<&str>) {
    let (mut clients, mut operators) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        clients.extend(event.client_id.as_deref());
        add_actor(&event.actor.name, &mut clients, &mut operators);
        // What was shown may be a setup link, whose target is an operator.
        if event.action.starts_with("operator.") || event.action == Action::SecretShown.as_str() {
            operators.insert(&event.target);
        }
    }
    (clients.into_iter().collect(), operators.into_iter().collect())
}

/// Adds the API client or the operator that acted.
fn add_actor<'a>(name: &'a str, clients: &mut BTreeSet<&'a str>, operators: &mut BTreeSet<&'a str>) {
    match name.split_once(':') {
        Some(("client", id)) => drop(clients.insert(id)),
        Some(("operator", id)) => drop(operators.insert(id)),
        _ => {}
    }
}
