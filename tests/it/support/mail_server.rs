//! A mail server that a test scripts: it speaks SMTP (RFC 5321) without TLS and keeps the mails it gets. At any step it
//! refuses, waits or closes the connection as the script says; after any byte it can close the connection.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long a test waits for a mail before it fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A mail that the server received up to the dot at its end, whatever the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) to: String,
    pub(crate) from: String,
    /// Header and body, as received, without the dots that SMTP doubles.
    pub(crate) text: String,
}

impl Received {
    /// The value of a header, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let found = head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::to_owned)
    }
}

/// What the server has just received.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Heard<'a> {
    /// A connection.
    Connection,
    /// One more byte; the number of bytes on this connection so far. After it, only [`Answer::Close`] has an effect.
    Bytes(usize),
    /// A command line.
    Command(&'a str),
    /// A whole mail.
    Mail(&'a Received),
}

/// What the server does when it has heard something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Does what a server usually does.
    Usual,
    /// Sends this reply.
    Say(&'static str),
    /// Closes the connection.
    Close,
    /// Waits until [`MailServer::release`], then does what a server usually does.
    Wait,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    connections: usize,
    open: usize,
    most_open: usize,
    released: bool,
}

type Script = dyn Fn(Heard<'_>) -> Answer + Send + Sync;

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    script: Box<Script>,
}

/// A server on its own port.
pub(crate) struct MailServer {
    port: u16,
    shared: Arc<Shared>,
}

impl MailServer {
    /// Starts a server that accepts everything.
    pub(crate) fn start() -> Self {
        Self::scripted(|_| Answer::Usual)
    }

    /// Starts a server that does what `script` returns.
    pub(crate) fn scripted(script: impl Fn(Heard<'_>) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), script: Box::new(script) });
        let ours = Arc::clone(&shared);
        // The thread ends with the process, since nothing can wake its listener. A test starts only a few of them.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&ours);
                std::thread::spawn(move || {
                    shared.opened();
                    // A connection may end at any moment, which is no error here.
                    let _ = Session::new(&shared, stream).run();
                    shared.state().open -= 1;
                    shared.changed.notify_all();
                });
            }
        });
        Self { port, shared }
    }

    /// The settings of an app that sends its mails to this server.
    pub(crate) fn settings(&self) -> String {
        format!(
            "smtp.url = \"smtp://127.0.0.1:{}?tls=none\"\nsmtp.from = \"Tokens of Example <tokens@example.com>\"\n",
            self.port
        )
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }

    /// The mails received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// The recipients of the mails received so far.
    pub(crate) fn recipients(&self) -> Vec<String> {
        self.shared.state().received.iter().map(|mail| mail.to.clone()).collect()
    }

    /// How many connections were made so far, and the most that were open at once.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let state = self.shared.state();
        (state.connections, state.most_open)
    }

    /// Lets the connections that wait continue. From now on no connection waits.
    pub(crate) fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }

    /// Waits until this number of mails has come.
    ///
    /// # Panics
    /// If they do not come within [`WAIT_MAX`].
    pub(crate) async fn wait_for(&self, mails: usize) {
        let shared = Arc::clone(&self.shared);
        let waiting = tokio::task::spawn_blocking(move || {
            let state = shared.state();
            let too_few = |state: &mut State| state.received.len() < mails;
            let (state, waited) = shared.changed.wait_timeout_while(state, WAIT_MAX, too_few).unwrap();
            assert!(!waited.timed_out(), "{} of {mails} mails have come", state.received.len());
        });
        waiting.await.unwrap();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn opened(&self) {
        let mut state = self.state();
        state.connections += 1;
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
    }
}

/// The connection has ended.
struct Ended;

impl From<std::io::Error> for Ended {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

struct Session<'a> {
    shared: &'a Shared,
    reader: BufReader<TcpStream>,
    /// How many bytes were received.
    heard: usize,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, stream: TcpStream) -> Self {
        Self { shared, reader: BufReader::new(stream), heard: 0 }
    }

    fn run(mut self) -> Result<(), Ended> {
        self.answer(Heard::Connection, "220 mail.test ESMTP")?;
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = self.line()?;
            let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
            let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            let usual = match verb.as_str() {
                "EHLO" => "250-mail.test\r\n250 8BITMIME",
                "MAIL" => {
                    from = address();
                    "250 2.1.0 ok"
                }
                "RCPT" => {
                    to = address();
                    "250 2.1.5 ok"
                }
                "DATA" => "354 go on",
                "QUIT" => "221 2.0.0 bye",
                "RSET" | "NOOP" => "250 2.0.0 ok",
                _ => "500 what?",
            };
            let said = self.answer(Heard::Command(&line), usual)?;
            if verb == "QUIT" {
                return Ok(());
            }
            if verb == "DATA" && said.starts_with("354") {
                let text = self.text()?;
                let mail = Received { to: to.clone(), from: from.clone(), text };
                self.shared.state().received.push(mail.clone());
                self.shared.changed.notify_all();
                self.answer(Heard::Mail(&mail), "250 2.0.0 taken")?;
            }
        }
    }

    /// Asks the script for the answer, and sends it. Returns the reply that was sent.
    fn answer(&mut self, heard: Heard<'_>, usual: &'static str) -> Result<&'static str, Ended> {
        let said = match (self.shared.script)(heard) {
            Answer::Usual => usual,
            Answer::Say(reply) => reply,
            Answer::Close => return Err(Ended),
            Answer::Wait => {
                let waiting = self.shared.changed.wait_while(self.shared.state(), |state| !state.released);
                drop(waiting.unwrap());
                usual
            }
        };
        self.reader.get_mut().write_all(format!("{said}\r\n").as_bytes())?;
        Ok(said)
    }

    fn byte(&mut self) -> Result<u8, Ended> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte)?;
        self.heard += 1;
        match (self.shared.script)(Heard::Bytes(self.heard)) {
            Answer::Close => Err(Ended),
            _ => Ok(byte[0]),
        }
    }

    fn line(&mut self) -> Result<String, Ended> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte()?);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8(line).unwrap())
    }

    /// The text of a mail, up to the dot on a line of its own, without the dots that SMTP doubles.
    fn text(&mut self) -> Result<String, Ended> {
        let mut text = String::new();
        loop {
            let line = self.line()?;
            if line == "." {
                return Ok(text);
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
    }
}
