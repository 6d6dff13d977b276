//! `mintmark audit export`: the audit trail as JSON lines, for a SIEM or for a check without this program.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};

use super::ocsf;
use crate::cli::host_user;
use crate::cli::opened::Opened;
use crate::cli::output::Format;
use crate::cli::target::Connection;
use crate::cli::values::Past;
use crate::cli::{Failure, Global};
use crate::ledger::ExportedEvent;

/// How many events are read in one query.
const PAGE: u32 = 1_000;

/// Write the audit trail to standard output, one JSON document per line, oldest first
///
/// A line of the format `jsonl` has the event as it is stored, with the exact bytes of its entry and their hash, so that
/// examples/audit-verify checks it without Mintmark. A line of the format `ocsf` is an event of OCSF 1.6.0. Events that are
/// not in a log yet are left out; a running server adds them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mintmark audit export > audit.jsonl
  mintmark audit export --format ocsf --since 24h")]
pub(super) struct Export {
    /// The format of a line
    #[arg(long = "format", value_name = "FORMAT", default_value = "jsonl")]
    line: Line,
    /// Only events since then: a date like 2026-11-23 (00:00 UTC), an instant, or how long ago, like 24h or 7d.
    /// examples/audit-verify needs all events
    #[arg(long, value_name = "DATE")]
    since: Option<Past>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Line {
    /// The event, its entry and its hash
    Jsonl,
    /// An event of the Open Cybersecurity Schema Framework, version 1.6.0
    Ocsf,
}

impl Export {
    pub(super) async fn run(
        self,
        global: &Global,
        connection: &Connection,
        format: Format,
    ) -> Result<(), Failure> {
        connection.must_be_local("mintmark audit export")?;
        if format.json {
            return Err(Failure::Usage("the export is JSON lines already: leave out --json".to_owned()));
        }
        Opened::with(global, async |opened| {
            let (ledger, caller) = (&opened.core.services.ledger, host_user::manager());
            let issuer = opened.settings.server.public_url.as_str();
            for log in ledger.audit_logs(&caller).await? {
                let mut from = 0;
                loop {
                    let events = ledger.export_audit(&caller, log, from, PAGE).await?;
                    let Some(last) = events.last() else { break };
                    from = last.seq + 1;
                    self.write(&events, issuer)?;
                }
            }
            Ok(())
        })
        .await
    }

    fn write(&self, events: &[ExportedEvent], issuer: &str) -> io::Result<()> {
        let mut text = Vec::new();
        let since = self.since.as_ref().map(|Past(at)| *at);
        for event in events.iter().filter(|event| since.is_none_or(|since| event.at >= since)) {
            match self.line {
                Line::Jsonl => serde_json::to_writer(&mut text, event)?,
                Line::Ocsf => serde_json::to_writer(&mut text, &ocsf::event(event, issuer))?,
            }
            text.push(b'\n');
        }
        let mut out = io::stdout().lock();
        out.write_all(&text)?;
        out.flush()
    }
}
