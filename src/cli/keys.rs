//! `mintmark keys`: the keys that sign tokens, and the master key.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::confirm::Confirm;
use super::generate_master::GenerateMaster;
use super::opened::Opened;
use super::output::Format;
use super::target::{Connection, HowMany, List, OnKey, Target, UseCase};
use super::values::Members;
use super::{Failure, Global};
use crate::app::rewrap;
use crate::cli::host_user;
use crate::vault::master::Origin;

const MEMBERS: &[&str] = &["kid", "alg", "use_for", "phase", "created_at", "activates_at", "live_tokens"];

/// How many bytes of a PEM file are read: more than any private key has.
const PEM_LIMIT: u64 = 64 * 1024;

/// List, create, import, delete and revoke signing keys, and change or generate the master key
///
/// The first signing key for an algorithm and a kind of token (expiring or never expiring) signs at once. A later one is
/// published for keys.pending_seconds before it replaces the active one.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  mintmark keys list
  mintmark keys create             rotate the key for expiring tokens
  mintmark keys create --use-for never_expiring
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out rsa.pem
  mintmark keys import rsa.pem --alg RS256
  mintmark keys revoke KID
  mintmark keys rewrap --new-master-key-file data/master-2.key"
)]
pub(super) struct Keys {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    OnRecords(OnRecords),
    /// Change the master key; the server may be running
    #[command(after_help = "Example:\n  mintmark keys rewrap --new-master-key-file data/master-2.key")]
    Rewrap {
        /// The file with the new master key; created if it does not exist
        #[arg(long, value_name = "FILE")]
        new_master_key_file: PathBuf,
    },
    /// Generate a master key for a new database; no database is opened
    #[command(
        after_help = "Examples:\n  mintmark keys generate-master data/master.key\n  mintmark keys generate-master | vault kv put secret/mintmark key=-"
    )]
    GenerateMaster(GenerateMaster),
}

#[derive(Debug, Subcommand)]
enum OnRecords {
    /// List the signing keys
    #[command(after_help = "Example:\n  mintmark keys list --json")]
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Create a signing key, which replaces the active one after keys.pending_seconds
    #[command(visible_alias = "rotate")]
    #[command(after_help = "Example:\n  mintmark keys create --use-for never_expiring")]
    Create {
        /// ES256 or EdDSA; also RS256 or PS256 if built with the feature aws-lc [default: tokens.signing_alg]
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
    #[command(visible_alias = "get", after_help = "Example:\n  mintmark keys show KID")]
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
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Delete a stolen signing key at once and revoke the tokens it signed; an active key is replaced by a new one
    #[command(after_help = "Example:\n  mintmark keys revoke KID")]
    Revoke {
        /// The `kid` of the signing key, see `mintmark keys list`
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Args)]
struct Class {
    /// The tokens it signs: expiring or never_expiring
    #[arg(long, value_name = "CLASS", default_value = "expiring")]
    use_for: String,
}

impl Keys {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let Self { verb, connection, format } = self;
        match verb {
            Verb::OnRecords(verb) => {
                // The file is read before anything is opened, so that a mistyped path is the only error.
                let pem = match &verb {
                    OnRecords::Import { file, .. } => Some(read_pem(file)?),
                    _ => None,
                };
                Target::with(global, &connection, async |target| act(verb, pem, target, format).await).await
            }
            Verb::GenerateMaster(generate) => generate.run(format),
            Verb::Rewrap { new_master_key_file } => {
                connection.must_be_local("mintmark keys rewrap")?;
                let change =
                    async |opened: &Opened| change_master_key(opened, new_master_key_file, format).await;
                Opened::with(global, change).await
            }
        }
    }
}

async fn act(
    verb: OnRecords,
    pem: Option<String>,
    target: &Target<'_>,
    format: Format,
) -> Result<(), Failure> {
    let ask = async |on| target.ask(UseCase::SigningKey(on)).await;
    let create = async |alg: Option<String>, class: Class| -> Result<(), Failure> {
        let body = Members::default()
            .with("alg", alg)
            .with("use_for", Some(class.use_for))
            .with("private_key_pem", pem)
            .into_body();
        format.record(&ask(OnKey::Create(body)).await?, MEMBERS)
    };
    match verb {
        OnRecords::List { how_many } => target.print(&List::SigningKeys, how_many, format, MEMBERS).await,
        OnRecords::Create { alg, class } => create(alg, class).await,
        OnRecords::Import { alg, class, .. } => create(Some(alg), class).await,
        OnRecords::Show { kid } => format.record(&ask(OnKey::Show(kid)).await?, MEMBERS),
        OnRecords::Delete { kid, revoke_tokens, confirm } => {
            let tokens = if revoke_tokens { ", and revoke the tokens it signed" } else { "" };
            confirm.ask(format_args!("Delete the signing key {kid}{tokens}"))?;
            ask(OnKey::Delete { kid: kid.clone(), revoke_tokens }).await?;
            let document = json!({ "kid": kid, "deleted": true });
            format.done(&document, format_args!("signing key {kid} deleted"))
        }
        OnRecords::Revoke { kid, confirm } => {
            confirm.ask(format_args!("Delete the signing key {kid}, and revoke the tokens it signed"))?;
            let revoked = ask(OnKey::Delete { kid: kid.clone(), revoke_tokens: true }).await?;
            let mut document = json!({ "kid": kid, "deleted": true });
            let mut sentence = format!("signing key {kid} deleted, and the tokens it signed revoked");
            // A server of an earlier version does not say how many recorded tokens it revoked.
            if let Some(count) = revoked.as_u64() {
                document = json!({ "kid": kid, "deleted": true, "revoked_tokens": count });
                sentence = format!("signing key {kid} deleted, and {count} recorded tokens revoked");
            }
            format.done(&document, sentence)
        }
    }
}

async fn change_master_key(opened: &Opened, new_file: PathBuf, format: Format) -> Result<(), Failure> {
    let origin = rewrap(&host_user::manager(), &opened.settings, &opened.core, &new_file).await?;
    let file = std::path::absolute(&new_file).unwrap_or(new_file);
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
         MINTMARK__KEYS__MASTER_KEY_FILE={file}, and remove keys.master_key. A running server does not need a restart. \
         Keep a copy of the new key apart from backups, and the old key for the backups made until now."
    );
    Ok(())
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
