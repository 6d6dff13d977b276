//! `mintmark audit verify`: checks that nobody has changed the audit trail.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::host_user;
use crate::cli::opened::Opened;
use crate::cli::output::{Format, json as print_json, line};
use crate::cli::target::Connection;
use crate::cli::{Failure, Global};
use crate::ledger::{CheckedLog, Checkpoint, Verification};

/// Check that no event of the audit trail was changed, removed, moved or added
///
/// It compares every entry with its hash and with the columns of its row, and the hashes with every signed checkpoint.
/// Somebody who can write to the database can delete the end of the trail together with the checkpoints that cover it. Only a
/// checkpoint that is kept outside the database shows that: from the server's log, from a webhook, or a copy made by hand. The
/// exit code is 1 if anything is found. The server may be running.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mintmark audit verify
  mintmark audit verify --checkpoint kept-elsewhere.txt")]
pub(super) struct Verify {
    /// A file with a checkpoint that was kept outside the database; may be repeated
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

const ONLY_WITHIN: &str = "\
    No checkpoint from outside the database was given, so a trail whose end was deleted together with its checkpoints \
    looks complete: keep checkpoints in another place, and pass one with --checkpoint FILE.";

impl Verify {
    pub(super) async fn run(
        self,
        global: &Global,
        connection: &Connection,
        format: Format,
    ) -> Result<(), Failure> {
        connection.must_be_local("mintmark audit verify")?;
        let outside = self.checkpoint.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let found = Opened::with(global, async |opened| {
            let ledger = &opened.core.services.ledger;
            Ok(ledger.verify_audit(&host_user::manager(), &outside).await?)
        })
        .await?;
        let findings = found.findings();
        if format.json {
            print_json(&document(&found, outside.is_empty()))?;
        } else {
            for log in &found.logs {
                line(sentence(log))?;
            }
            if found.waiting > 0 {
                line(format_args!(
                    "{} events are not in a log yet, so they were not checked: a running server adds them",
                    found.waiting
                ))?;
            }
            for finding in &findings {
                line(format_args!("FOUND {finding}"))?;
            }
            if outside.is_empty() {
                line(ONLY_WITHIN)?;
            }
        }
        match findings.len() {
            0 => Ok(()),
            1 => Err(Failure::Fault("the audit trail did not pass the check: 1 finding".to_owned())),
            count => Err(Failure::Fault(format!("the audit trail did not pass the check: {count} findings"))),
        }
    }
}

fn read(file: &PathBuf) -> Result<Checkpoint, Failure> {
    let note = fs::read_to_string(file)
        .map_err(|error| Failure::Fault(format!("cannot read {}: {error}", file.display())))?;
    Checkpoint::read(&note)
        .map_err(|error| Failure::Usage(format!("--checkpoint {}: {error}", file.display())))
}

fn sentence(log: &CheckedLog) -> String {
    format!(
        "{}: {} entries ({} deleted after audit.keep_days), {} of them covered by the newest checkpoint, {} checkpoints compared",
        log.origin, log.entries, log.pruned, log.covered, log.checkpoints
    )
}

fn document(found: &Verification, is_only_within: bool) -> Value {
    let log = |log: &CheckedLog| {
        json!({
            "log": log.log,
            "origin": log.origin,
            "entries": log.entries,
            "pruned": log.pruned,
            "imported": log.imported,
            "covered": log.covered,
            "checkpoints": log.checkpoints,
        })
    };
    json!({
        "logs": found.logs.iter().map(log).collect::<Vec<_>>(),
        "waiting": found.waiting,
        "findings": found.findings(),
        "compared_with_outside": !is_only_within,
    })
}
