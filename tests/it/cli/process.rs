//! The program as a process, in a temporary folder: a command that runs to its end, or a server that runs until it is stopped.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Engine, Session, TestDatabase};

/// How long a test waits for output or the end of the program before it fails.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A temporary folder in which the program runs, with its own database, and settings in environment variables.
pub(super) struct Place {
    folder: TempDir,
    env: Vec<(String, String)>,
    // Dropped last: on PostgreSQL this drops the database.
    database: Option<TestDatabase>,
}

impl Place {
    /// An empty folder. For SQLite no database is configured, so that the default is tested.
    pub(super) fn new(engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(TestDatabase::blank(engine)),
        };
        let folder = tempfile::Builder::new().prefix("mintmark-cli-").tempdir().unwrap();
        let place = Self { folder, env: Vec::new(), database };
        match place.database.as_ref().map(|database| database.url().to_owned()) {
            Some(url) => place.with("MINTMARK__DATABASE__URL", &url),
            None => place,
        }
        .with("MINTMARK__SERVER__LISTEN", "127.0.0.1:0")
        .with("MINTMARK__SERVER__WORKERS", "1")
        .with("MINTMARK__SERVER__DRAIN_SECONDS", "0")
        .with("MINTMARK__LOG__FORMAT", "json")
    }

    /// A folder with the issuer `http://127.0.0.1:8080`, for commands that need one.
    pub(super) fn with_issuer(engine: Engine) -> Self {
        Self::new(engine).with("MINTMARK__SERVER__PUBLIC_URL", "http://127.0.0.1:8080")
    }

    /// Sets an environment variable.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// A separate connection to the database, which an earlier command must have created.
    pub(super) async fn session(&self) -> Session {
        match &self.database {
            Some(database) => database.session().await,
            None => Session::to_file(&self.path("data/mintmark.db")).await,
        }
    }

    /// Returns when the program waits for another transaction. PostgreSQL only.
    pub(super) async fn someone_waits(&self) {
        self.database.as_ref().expect("PostgreSQL").someone_waits().await;
    }

    /// The same place with an environment variable set.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// A shell with the folder and the environment of the program.
    pub(super) fn shell(&self) -> Command {
        self.in_environment(Command::new("sh"))
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, args: &[&str]) -> Ran {
        self.run_with_input(args, b"")
    }

    /// Runs a command that reads `input`.
    pub(super) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut running = self.start(args);
        // The write fails if the command ends without reading its input.
        let _ = running.child.stdin.take().unwrap().write_all(input);
        running.wait()
    }

    /// Runs a command that must succeed and print one JSON document.
    pub(super) fn json(&self, args: &[&str]) -> Value {
        self.run(args).must_succeed().json()
    }

    /// Starts a command without waiting for it.
    pub(super) fn start(&self, args: &[&str]) -> Running {
        Running::of(&mut self.program(args))
    }

    /// Starts a server, and waits until it serves.
    pub(super) fn serve(&self) -> Serving {
        Self::serving(self.start(&["serve"]))
    }

    /// Starts a server that ignores SIGXFSZ, the signal for a write beyond the limit of file sizes, and waits until it serves.
    pub(super) fn serve_without_file_signal(&self) -> Serving {
        let mut shell = self.shell();
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" serve", env!("CARGO_BIN_EXE_mintmark")]);
        shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::serving(Running::of(&mut shell))
    }

    fn serving(mut running: Running) -> Serving {
        let line = running.stderr.wait_for("\"message\":\"serving\"");
        let start: Value = serde_json::from_str(&line).unwrap();
        let base = format!("http://{}", start["listen"].as_str().unwrap());
        Serving { running, start, base, http: client() }
    }

    /// Starts a server under the limits that `ulimit` sets with these options.
    pub(super) fn serve_within(&self, limits: &str) -> Running {
        let mut shell = self.shell();
        shell.args(["-c", &format!("ulimit {limits} && exec \"$0\" serve"), env!("CARGO_BIN_EXE_mintmark")]);
        Running::of(shell.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    fn program(&self, args: &[&str]) -> Command {
        let mut command = self.in_environment(Command::new(env!("CARGO_BIN_EXE_mintmark")));
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn in_environment(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).env_clear().envs(self.env.iter().cloned());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        // No proxy listens there, so a request of the program through a proxy fails. curl ignores `HTTP_PROXY` in upper case.
        command.env("HTTP_PROXY", "http://127.0.0.1:9");
        command
    }
}

/// How a command ended, and what it printed.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ran {
    /// Checks that it succeeded.
    pub(super) fn must_succeed(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Checks that it failed with this exit code, wrote nothing to standard output, and wrote an error to standard error that
    /// contains every text of `says`.
    pub(super) fn must_fail(self, code: i32, says: &[&str]) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert!(self.stderr.starts_with("mintmark: ") || self.stderr.starts_with("error: "), "{self:?}");
        for part in says {
            assert!(self.stderr.contains(part), "{part:?} is missing: {self:?}");
        }
        self
    }

    /// Standard output as one JSON document.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A process that was started. It is killed when this is dropped.
pub(super) struct Running {
    child: Child,
    pub(super) stdout: Lines,
    pub(super) stderr: Lines,
}

impl Running {
    /// Starts a command whose output is piped.
    fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The current soft limit of open files of the process.
    pub(super) fn open_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        line.split_ascii_whitespace().nth(3).unwrap().parse().unwrap()
    }

    /// Sends a signal, by its name.
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end of the process; returns its exit code and everything it printed.
    pub(super) fn wait(mut self) -> Ran {
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        let code = self.child.wait().unwrap().code().expect("the process exits by itself");
        Ran { code, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a process, line by line, as it is written.
pub(super) struct Lines {
    incoming: Receiver<String>,
    read: Vec<String>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            while pipe.read_line(&mut line).is_ok_and(|read| read > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        Self { incoming, read: Vec::new() }
    }

    /// Waits for the next line that contains `text`, and returns it.
    pub(super) fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.incoming.recv_timeout(WAIT_MAX) {
                Ok(line) => {
                    self.read.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("{error}: no line contains {text:?}:\n{}", self.text()),
            }
        }
    }

    fn wait_for_end(&mut self) {
        loop {
            match self.incoming.recv_timeout(WAIT_MAX) {
                Ok(line) => self.read.push(line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the process does not end:\n{}", self.text()),
            }
        }
    }

    /// All that was read so far.
    pub(super) fn text(&self) -> String {
        self.read.concat()
    }
}

/// A client that uses no proxy.
pub(super) fn client() -> Client {
    // Only plain HTTP is used here, but the client needs a TLS provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// A running server.
pub(super) struct Serving {
    pub(super) running: Running,
    /// The log line with the message `serving`.
    pub(super) start: Value,
    /// The URL of the server, without a path.
    pub(super) base: String,
    http: Client,
}

impl Serving {
    /// The address after `http://`.
    pub(super) fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    /// A GET of a path.
    pub(super) async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    /// A token request.
    pub(super) async fn token(&self, id: &str, secret: &str, scope: &str) -> Response {
        let request = self.http.post(format!("{}/oauth2/token", self.base)).basic_auth(id, Some(secret));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend((!scope.is_empty()).then_some(("scope", scope)));
        request.form(&form).send().await.unwrap()
    }

    /// The body of the management API's reply to a GET.
    pub(super) async fn managed(&self, access_token: &str, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(access_token);
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    /// Stops it gracefully; returns how it ended.
    pub(super) fn stop(self) -> Ran {
        self.running.signal("TERM");
        self.running.wait()
    }
}

/// A member of a JSON object as text.
pub(super) fn text<'a>(document: &'a Value, member: &str) -> &'a str {
    document[member].as_str().unwrap_or_else(|| panic!("no text {member}: {document}"))
}

/// All bytes of a file.
pub(super) fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
