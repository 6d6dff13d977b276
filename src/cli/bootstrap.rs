//! `mintmark bootstrap`: the first API client that may manage, its secret printed once.

use clap::Args;
use serde::Serialize;

use super::opened::Opened;
use super::output::{self, Format};
use super::{Failure, Global};
use crate::model::secret::PlainSecret;

/// Make the first API client that may manage Mintmark.
///
/// It belongs to the workspace `platform` and holds every permission. Its secret is printed once, here. If there is
/// one already, it is named and nothing is changed; a lost secret is replaced by `mintmark clients add-secret`.
/// A server may run on the same database meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark bootstrap
  mintmark bootstrap --json > management-client.json")]
pub(super) struct Bootstrap {
    #[command(flatten)]
    format: Format,
}

/// What is printed, with the names of `docs/command-line.md`.
#[derive(Serialize)]
struct Shown<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    workspace_id: &'a str,
    token_endpoint: &'a str,
}

impl Bootstrap {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let (made, token_endpoint) = Opened::with(global, async |opened| {
            let token_endpoint = format!("{}/oauth2/token", opened.settings.server.public_url);
            Ok((opened.core.services.tenants.bootstrap().await?, token_endpoint))
        })
        .await?;
        let shown = Shown {
            client_id: &made.client_id,
            client_secret: made.client_secret.as_ref().map(PlainSecret::expose),
            workspace_id: &made.workspace_id,
            token_endpoint: &token_endpoint,
        };
        if self.format.json {
            output::json(&shown)?;
        } else {
            let mut fields = vec![("client_id", shown.client_id.to_owned())];
            fields.extend(shown.client_secret.map(|secret| ("client_secret", secret.to_owned())));
            fields.push(("workspace_id", shown.workspace_id.to_owned()));
            fields.push(("token_endpoint", token_endpoint.clone()));
            output::fields_in_columns(&fields)?;
        }
        match shown.client_secret {
            Some(_) => eprintln!("\nKeep the secret: it is not shown again."),
            None => eprintln!(
                "\nNothing was changed: this API client may manage already. If its secret is lost, make another with\n  \
                 mintmark clients add-secret {}",
                made.client_id
            ),
        }
        Ok(())
    }
}
