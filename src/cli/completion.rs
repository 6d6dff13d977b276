//! `mintmark completion`: the script by which a shell completes commands and options.

use std::io::{self, Write as _};

use clap::Args;
use clap_complete::Shell;

use super::Failure;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mintmark completion bash > ~/.local/share/bash-completion/completions/mintmark
  mintmark completion zsh > ~/.zfunc/_mintmark
    (put ~/.zfunc into fpath before compinit)
  mintmark completion fish > ~/.config/fish/completions/mintmark.fish")]
pub(super) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(&self, mut command: clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "mintmark", &mut script);
        let mut out = io::stdout().lock();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}
