//! `mintmark bootstrap`: creates the first management client, and prints its secret once.

use clap::Args;
use serde::Serialize;

use super::opened::Opened;
use super::output::{self, Format};
use super::{Failure, Global};
use crate::cli::host_user;
use crate::model::secret::PlainSecret;

/// Create the first management client: an API client that may manage Mintmark
///
/// It belongs to the workspace `platform` and has all permissions. Its secret is printed only once. If this workspace has an
/// API client that may manage Mintmark already, its id is printed and nothing is changed; `mintmark clients add-secret`
/// replaces a lost secret. The server may be running.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark bootstrap
  mintmark bootstrap --json > management-client.json")]
pub(super) struct Bootstrap {
    #[command(flatten)]
    format: Format,
}

/// The output, with the names of `docs/command-line.md`.
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
            Ok((opened.core.services.tenants.bootstrap(&host_user::manager()).await?, token_endpoint))
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
            Some(_) => eprintln!("\nStore the client secret safely: it is not shown again."),
            None => eprintln!(
                "\nNothing was changed: this API client can manage Mintmark already. If its secret is lost, add another one:\n  \
                 mintmark clients add-secret {}",
                made.client_id
            ),
        }
        Ok(())
    }
}
