//! `mintmark keys`: the keys that sign tokens, and the change of the master key.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::opened::{Opened, all_pages};
use super::output::Format;
use super::{Failure, Global};
use crate::app::rewrap;
use crate::kernel::{Manager, Precondition, to_json};
use crate::model::key::Alg;
use crate::model::member::Member;
use crate::signing::NewSigningKey;
use crate::vault::master::Origin;

const MEMBERS: &[&str] = &["kid", "alg", "use_for", "phase", "created_at", "activates_at", "live_tokens"];

/// More than any private key in PEM needs.
const PEM_LIMIT: u64 = 64 * 1024;

/// List, create, import, delete and revoke signing keys, and change the master key
///
/// The first signing key for an algorithm and a kind of token (expiring or never expiring) signs at once. A later one is
/// published for keys.pending_seconds before it replaces the one before it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark keys list
  mintmark keys create                         rotate the key for expiring tokens
  mintmark keys create --use-for never_expiring
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 | mintmark keys import - --alg RS256
  mintmark keys revoke KID
  mintmark keys rewrap --new-master-key-file data/master-2.key")]
pub(super) struct Keys {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the signing keys
    #[command(after_help = "Example:\n  mintmark keys list --json")]
    List,
    /// Create a signing key, which replaces the active one after keys.pending_seconds
    #[command(visible_alias = "rotate")]
    #[command(after_help = "Example:\n  mintmark keys create --use-for never_expiring")]
    Create {
        /// ES256 or EdDSA, or with the feature aws-lc RS256 or PS256 [default: tokens.signing_alg]
        #[arg(long)]
        alg: Option<String>,
        #[command(flatten)]
        class: Class,
    },
    /// Import a private key
    #[command(after_help = "Example:\n  mintmark keys import rsa.pem --alg RS256")]
    Import {
        /// A PKCS#8 PEM file; - for standard input
        file: PathBuf,
        /// ES256, EdDSA, RS256 or PS256
        #[arg(long)]
        alg: String,
        #[command(flatten)]
        class: Class,
    },
    /// Show a signing key
    #[command(after_help = "Example:\n  mintmark keys show KID")]
    Show {
        /// The `kid` of the signing key, see `mintmark keys list`
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Delete a signing key that no valid token needs
    #[command(after_help = "Example:\n  mintmark keys delete KID --revoke-tokens")]
    Delete {
        /// The `kid` of the signing key, see `mintmark keys list`
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Delete it at once and revoke the tokens it signed; an active key is replaced by a new one
        #[arg(long)]
        revoke_tokens: bool,
    },
    /// Delete a stolen signing key at once and revoke the tokens it signed; an active key is replaced by a new one
    #[command(after_help = "Example:\n  mintmark keys revoke KID")]
    Revoke {
        /// The `kid` of the signing key, see `mintmark keys list`
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Change the master key; the server may be running
    #[command(after_help = "Example:\n  mintmark keys rewrap --new-master-key-file data/master-2.key")]
    Rewrap {
        /// The file with the new master key; created if it does not exist
        #[arg(long, value_name = "FILE")]
        new_master_key_file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Class {
    /// The tokens it signs: expiring or never_expiring
    #[arg(long, default_value = "expiring")]
    use_for: String,
}

impl Keys {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        // Before the database is opened, so that a mistyped path is the only error.
        let pem = match &self.verb {
            Verb::Import { file, .. } => Some(read_pem(file)?),
            _ => None,
        };
        Opened::with(global, async |opened| self.act(opened, pem).await).await
    }

    async fn act(self, opened: &Opened, pem: Option<String>) -> Result<(), Failure> {
        let (services, caller, format) = (&opened.core.services, Manager::command_line(), self.format);
        let create = async |alg: String, class: Class| -> Result<(), Failure> {
            let new = NewSigningKey {
                alg: Member::Value(alg),
                use_for: Member::Value(class.use_for),
                private_key_pem: pem.into(),
                ..NewSigningKey::default()
            };
            let made = services.signing.create_signing_key(&caller, &new, None).await?;
            format.record(&to_json(&made), MEMBERS)
        };
        match self.verb {
            Verb::List => {
                let keys =
                    all_pages(async |page| services.signing.signing_keys(&caller, &page).await).await?;
                let records: Vec<_> = keys.iter().map(to_json).collect();
                format.list(&records, MEMBERS)?;
            }
            Verb::Create { alg, class } => {
                let default: Alg = opened.settings.tokens.signing_alg;
                create(alg.unwrap_or_else(|| default.as_str().to_owned()), class).await?;
            }
            Verb::Import { alg, class, .. } => create(alg, class).await?,
            Verb::Show { kid } => {
                format.record(&to_json(&services.signing.signing_key(&caller, &kid).await?), MEMBERS)?;
            }
            Verb::Delete { kid, revoke_tokens } => {
                services
                    .signing
                    .delete_signing_key(&caller, &kid, revoke_tokens, &Precondition::None)
                    .await?;
                format.done(
                    &json!({ "kid": kid, "deleted": true }),
                    format_args!("signing key {kid} deleted"),
                )?;
            }
            Verb::Revoke { kid } => {
                let revoked =
                    services.signing.delete_signing_key(&caller, &kid, true, &Precondition::None).await?;
                format.done(
                    &json!({ "kid": kid, "deleted": true, "revoked_tokens": revoked }),
                    format_args!("signing key {kid} deleted, and {revoked} recorded tokens revoked"),
                )?;
            }
            Verb::Rewrap { new_master_key_file } => {
                let origin = rewrap(&opened.settings, &opened.core, &new_master_key_file).await?;
                let file = std::path::absolute(&new_master_key_file).unwrap_or(new_master_key_file);
                let file = file.display();
                format.done(
                    &json!({
                        "master_key_file": file.to_string(),
                        "created": matches!(origin, Origin::Created(_)),
                    }),
                    format_args!("the database now needs the master key in {file}"),
                )?;
                eprintln!(
                    "\nBefore the next start, set keys.master_key_file to this file, for example by \
                     MINTMARK__KEYS__MASTER_KEY_FILE={file}, and remove keys.master_key. A running server does not need a \
                     restart. Keep a copy of the new key apart from backups, and the old key for the backups made until now."
                );
            }
        }
        Ok(())
    }
}

fn read_pem(path: &Path) -> Result<String, Failure> {
    let read = || {
        let mut pem = String::new();
        if path.as_os_str() == "-" {
            io::stdin().lock().take(PEM_LIMIT).read_to_string(&mut pem)?;
        } else {
            std::fs::File::open(path)?.take(PEM_LIMIT).read_to_string(&mut pem)?;
        }
        Ok(pem)
    };
    read().map_err(|error: io::Error| {
        Failure::Usage(format!("{}: {error}. Give the path of a readable PKCS#8 PEM file", path.display()))
    })
}
