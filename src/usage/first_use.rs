//! Reports the first use of a secret, and the use of a secret from a network that is not among the last hundred of its client.
//! This happens in the transaction that stores what was counted.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::Usage;
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::{Action, Actor};
use crate::model::client::ApiClient;
use crate::model::mail::MailKind;
use crate::model::reach::Reach;
use crate::model::secret::ClientSecret;
use crate::model::usage::network_of;
use crate::storage::{FirstSeen, NetworkRow, Tx, UsageRows};

/// A use to report.
#[derive(Debug, PartialEq, Eq)]
struct Use<'a> {
    secret: &'a ClientSecret,
    source_ip: String,
    network: String,
    /// Whether the secret was not used before.
    is_first: bool,
}

impl Usage {
    /// Writes an event, and queues the mails about it, for each first use in `first`; `rows` has the details of these uses.
    pub(super) async fn report_first_uses(
        &self,
        tx: &mut Tx,
        rows: &UsageRows,
        first: &FirstSeen,
    ) -> Result<(), Error> {
        if *first == FirstSeen::default() {
            return Ok(());
        }
        let is_new: HashSet<(&str, &str)> =
            first.networks.iter().map(|(client, network)| (client.as_str(), network.as_str())).collect();
        let new_networks: Vec<(&NetworkRow, String)> = rows
            .networks
            .iter()
            .map(|row| (row, row.network.to_string()))
            .filter(|(row, network)| is_new.contains(&(&row.client_id, network)))
            .collect();
        let is_first: HashSet<&str> = first.secrets.iter().map(String::as_str).collect();
        let mut ids: Vec<&str> = first.secrets.iter().map(String::as_str).collect();
        ids.extend(new_networks.iter().map(|(row, _)| &*row.secret_id));
        let secrets = tx.secrets_with_ids(&ids).await?;
        let secrets: HashMap<&str, &ClientSecret> =
            secrets.iter().map(|secret| (secret.secret_id.as_str(), secret)).collect();

        let mut uses = Vec::new();
        let mut said = HashSet::new();
        for row in rows.sources.iter().filter(|row| is_first.contains(&*row.secret_id)) {
            let Some(secret) = secrets.get(&*row.secret_id) else { continue };
            let (source_ip, network) = (row.source_ip.to_string(), network_of(row.source_ip).to_string());
            said.insert((secret.client_id.as_str(), network.clone()));
            uses.push(Use { secret, source_ip, network, is_first: true });
        }
        for (row, network) in new_networks {
            let Some(secret) = secrets.get(&*row.secret_id) else { continue };
            // The report of the first use of a secret names the network already.
            let place = (secret.client_id.as_str(), network);
            if !said.contains(&place) {
                uses.push(Use {
                    secret,
                    source_ip: row.source_ip.to_string(),
                    network: place.1,
                    is_first: false,
                });
            }
        }
        // Sorted, so that all processes lock the rows of mails that they merge in the same order.
        uses.sort_by(|a, b| (&a.secret.client_id, &a.network).cmp(&(&b.secret.client_id, &b.network)));
        let mut ids: Vec<&str> = uses.iter().map(|one| one.secret.client_id.as_str()).collect();
        ids.dedup();
        let clients = tx.clients_with_ids(&ids).await?;
        let clients: HashMap<&str, &ApiClient> =
            clients.iter().map(|client| (client.client_id.as_str(), client)).collect();
        for one in &uses {
            if let Some(client) = clients.get(one.secret.client_id.as_str()) {
                self.report_first_use(tx, client, one).await?;
            }
        }
        Ok(())
    }

    async fn report_first_use(&self, tx: &mut Tx, client: &ApiClient, one: &Use<'_>) -> Result<(), Error> {
        let caller = Caller {
            reach: Reach::Workspace(client.workspace_id.clone()),
            permissions: Vec::new(),
            actor: Actor {
                name: format!("client:{}", client.client_id),
                request_id: None,
                source_ip: Some(one.source_ip.clone()),
            },
            client_id: Some(client.client_id.clone()),
        };
        let facts = json!({
            "label": client.label,
            "last_four": one.secret.last_four,
            "is_first": one.is_first,
            "network": one.network,
        });
        let subject = Subject::of_client(client, &one.secret.secret_id);
        self.ledger.audit(tx, &caller, Action::SecretFirstUsed, subject, facts.clone()).await?;
        self.ledger.mail_contacts(tx, &caller, client, MailKind::SecretFirstUsed, facts).await
    }
}
