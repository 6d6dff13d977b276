//! `mintmark keys generate-master`: generates a master key for a new database, without opening a database.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::output::Format;
use crate::vault::master::MasterKey;
use crate::vault::random::Random;

#[derive(Debug, Args)]
pub(super) struct GenerateMaster {
    /// The file to write, which must not exist; without it the key is printed to standard output
    file: Option<PathBuf>,
}

impl GenerateMaster {
    pub(super) fn run(self, format: Format) -> Result<(), Failure> {
        let random = Random::new();
        let fault = |error: crate::vault::master::MasterKeyError| Failure::Fault(error.to_string());
        let Some(file) = self.file else {
            let key = MasterKey::generate(&random).map_err(fault)?;
            let text = key.to_text();
            if format.json {
                // Not by `json!`, whose copies of the key would not be wiped.
                let mut out = std::io::stdout().lock();
                write!(out, "{{\n  \"master_key\": \"{}\",\n", text.trim_end())?;
                writeln!(out, "  \"fingerprint\": \"{}\"\n}}", key.fingerprint_text())?;
                return Ok(());
            }
            std::io::stdout().lock().write_all(text.as_bytes())?;
            eprintln!(
                "Keep the master key apart from the database and its backups, and set keys.master_key to it."
            );
            return Ok(());
        };
        let key = MasterKey::create(&file, &random).map_err(fault)?;
        let fingerprint = key.fingerprint_text();
        format.done(
            &json!({ "master_key_file": file, "fingerprint": fingerprint }),
            format_args!("{}: a new master key with the fingerprint {fingerprint}", file.display()),
        )?;
        eprintln!(
            "Keep a copy of the file apart from the database and its backups, and set keys.master_key_file to its path."
        );
        Ok(())
    }
}
