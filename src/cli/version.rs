//! `mintmark version`: the version, and with `--json` also the features of this build.

use clap::Args;
use serde_json::json;

use super::Failure;
use super::output::Format;

/// Print the version
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mintmark version --json")]
pub(super) struct Version {
    #[command(flatten)]
    format: Format,
}

impl Version {
    pub(super) fn run(self) -> Result<(), Failure> {
        const NUMBER: &str = env!("CARGO_PKG_VERSION");
        let features: &[&str] = if cfg!(feature = "aws-lc") { &["aws-lc"] } else { &[] };
        let document = json!({ "version": NUMBER, "features": features });
        self.format.done(&document, format_args!("mintmark {NUMBER}"))
    }
}
