//! The output of the demo: each step with its result and the command that repeats it. The secret goes to standard output
//! only.

use std::io;
use std::path::{Path, PathBuf};

use mintmark_verifier::AccessTokenClaims;
use serde_json::json;

use super::demo::{Demo, PRODUCTS, WORKSPACE};
use super::entry::{Entry, Way};
use super::http::{TokenReply, token_endpoint};
use crate::cli::output;
use crate::config::Settings;

/// What is printed about the demo.
pub(super) struct Steps<'a> {
    pub(super) settings: &'a Settings,
    /// The base of `/v1`.
    pub(super) management: String,
    /// The `--config` of this run.
    pub(super) config: Option<PathBuf>,
    pub(super) demo: Demo,
    pub(super) exchanged: TokenReply,
    pub(super) claims: AccessTokenClaims,
    /// An API client with the permission `mintmark:manage`, if there is one yet.
    pub(super) manager: Option<String>,
    /// How to enter the console.
    pub(super) entry: Entry,
}

impl Steps<'_> {
    /// Prints the demo for scripts.
    pub(super) fn print_json(&self) -> io::Result<()> {
        let issuer = &self.settings.server.public_url;
        output::json(&json!({
            "issuer": issuer.as_str(),
            "token_endpoint": token_endpoint(self.settings),
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "workspace_id": WORKSPACE,
            "client_id": self.demo.client_id,
            "client_secret": self.demo.client_secret.expose(),
            "access_token": self.exchanged.access_token,
            "claims": self.claims,
            "console": self.entry.url,
        }))
    }

    /// Prints the demo for people. With `once` the program then ends, so the text does not say that it is serving.
    pub(super) fn print(&self, once: bool) -> io::Result<()> {
        output::line(self.text(once))
    }

    fn text(&self, once: bool) -> String {
        let issuer = &self.settings.server.public_url;
        let Demo { client_id, client_secret, again } = &self.demo;
        let note = if *again { "   (new: the one before no longer works)" } else { "" };
        let endpoint = token_endpoint(self.settings);
        let claims = &self.claims;
        let lasts = match self.exchanged.expires_in {
            Some(seconds) if !claims.never_expires => format!("expires in {seconds} seconds"),
            _ => "never expires".to_owned(),
        };
        let end = if once { "" } else { "\n\nServing until Ctrl-C." };
        format!(
            "\
Mintmark {version} at {issuer}, data in {database}.
Steps 1 to 3 have just been done. {where_to_run}

1. An administrator registers an ERP: an API client in the workspace `{WORKSPACE}`, for two products.

     client_id      {client_id}
     client_secret  {secret}{note}

2. The ERP exchanges id and secret for an access token.

     curl -s -u {client_id}:{secret} {endpoint} -d grant_type=client_credentials

     scope \"{scope}\", {lasts}, {length} characters
     {token}

3. Another service verifies the token by itself, from the published keys.

     curl -s {issuer}/.well-known/jwks.json

     verified: client {sub} of workspace {workspace}, products {products}, audience {audience}

4. Your turn: step 1 again, over the management API. {who}

     ADMIN={admin}
     TOKEN=$(curl -s -u \"$ADMIN\" {endpoint} -d grant_type=client_credentials -d scope=mintmark:manage | {cut})
     curl -s {management}/v1/workspaces/{WORKSPACE}/api-clients -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{body}'

5. The same in a browser: the console. {enter}

     {console}

The API is described at {issuer}/docs, every command at `{program} --help`.{end}",
            database = self.database(),
            version = env!("CARGO_PKG_VERSION"),
            where_to_run = if once {
                format!("The commands need the server: start it with `{} serve`.", self.program())
            } else {
                "Their commands work in another terminal while the server runs.".to_owned()
            },
            secret = client_secret.expose(),
            scope = self.exchanged.scope,
            token = self.exchanged.access_token,
            length = self.exchanged.access_token.len(),
            sub = claims.sub,
            workspace = claims.workspace_id,
            products = claims.products.join(" and "),
            audience = claims.aud.join(" and "),
            who = if self.manager.is_none() {
                "The first line creates an API client with the permission mintmark:manage."
            } else {
                "The first line adds a secret to the API client with the permission mintmark:manage."
            },
            admin = self.administrator(),
            cut = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#,
            management = self.management,
            body = json!({ "label": "Your ERP", "products": PRODUCTS }),
            program = self.program(),
            enter = self.enter(),
            console = self.entry.url,
        )
    }

    /// What happens when the console is opened.
    fn enter(&self) -> String {
        let email = &self.entry.email;
        match self.entry.way {
            Way::SetUp => format!(
                "The page asks {email} for a passkey or a password, and then shows the client of step 1. The link works once."
            ),
            Way::SignIn => format!(
                "Sign in as {email}, as you set it up before; then the console shows the client of step 1."
            ),
            Way::Disabled => format!(
                "{email} is disabled. First run `{} operators update {email} --status active`, then sign in as you set it up.",
                self.program()
            ),
        }
    }

    /// The file of the database, or its URL without the password.
    fn database(&self) -> String {
        let url = self.settings.effective().iter().find(|set| set.key == "database.url");
        let url = url.and_then(|set| set.value.as_str()).unwrap_or_default();
        url.strip_prefix("sqlite://").unwrap_or(url).to_owned()
    }

    /// A shell expression for `id:secret` of a client with the permission `mintmark:manage`.
    fn administrator(&self) -> String {
        let program = self.program();
        match &self.manager {
            None => format!("$({program} bootstrap | awk '/^client_/ {{print $2}}' | paste -sd: -)"),
            Some(id) => {
                format!("{id}:$({program} clients add-secret {id} | awk '/^client_secret/ {{print $2}}')")
            }
        }
    }

    /// This program as it was called, with its settings file.
    fn program(&self) -> String {
        let called = std::env::args_os().next().map_or_else(|| PathBuf::from("mintmark"), PathBuf::from);
        match &self.config {
            None => quoted(&called),
            Some(config) => format!("{} --config {}", quoted(&called), quoted(config)),
        }
    }
}

/// A path as one word of a shell command.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+' | b'=' | b':' | b'@')
    };
    if !text.is_empty() && text.bytes().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        for (path, word) in [
            ("target/release/mintmark", "target/release/mintmark"),
            ("my files/mint", "'my files/mint'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
