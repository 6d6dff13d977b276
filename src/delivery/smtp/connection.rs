//! A connection to the mail server (RFC 5321), encrypted and signed in as the settings say.

use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;

use super::mail::Envelope;
use crate::config::{SmtpSecurity, SmtpSettings};

/// How long connecting may take, for each address of the server.
const CONNECT_MAX: Duration = Duration::from_secs(8);
/// How much of a reply is kept, in characters.
const REPLY_MAX: usize = 1024;

/// The server, and how this service introduces itself there.
pub(super) struct Server {
    pub(super) settings: SmtpSettings,
    hello: ClientId,
    roots: Vec<Certificate>,
    /// Made at the first connection: it reads the certificates that this machine trusts.
    tls: OnceLock<TlsParameters>,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What could not be done, in words.
    what: String,
    /// The code of the reply, if there was one.
    pub(super) status: Option<u16>,
    /// The text of the reply.
    pub(super) reply: Option<String>,
    /// What went wrong where there was no reply.
    cause: Option<String>,
    /// Whether the server says that it will never take this mail.
    pub(super) is_permanent: bool,
}

impl Failure {
    fn new(what: impl Into<String>, error: &Error) -> Self {
        let source = std::error::Error::source(error).map(ToString::to_string);
        let status = error.status().map(u16::from);
        let (reply, cause) = match status {
            Some(_) => (source, None),
            None => (None, Some(error.to_string())),
        };
        Self {
            what: what.into(),
            status,
            reply: reply.map(|reply| one_line(&reply)),
            cause: cause.map(|cause| one_line(&cause)),
            is_permanent: error.is_permanent(),
        }
    }

    /// `refused` says what the server refused. If the connection broke while `sending`, nothing was refused, and the failure
    /// says that.
    fn at(sending: &str, refused: impl Into<String>, error: &Error) -> Self {
        if error.status().is_some() || error.is_client() {
            return Self::new(refused, error);
        }
        Self::new(format!("the connection to the mail server broke while sending {sending}"), error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match (self.status, &self.reply, &self.cause) {
            (Some(status), Some(reply), _) => write!(f, ": {status} {reply}"),
            (Some(status), None, _) => write!(f, ": {status}"),
            (None, _, Some(cause)) => write!(f, ": {cause}"),
            (None, _, None) => Ok(()),
        }
    }
}

impl Server {
    /// The server of `settings`. The service greets it (`EHLO`) with the name `domain`.
    ///
    /// # Errors
    /// What is wrong with the certificates of `smtp.ca_file`.
    pub(super) fn new(settings: &SmtpSettings, domain: &str) -> Result<Self, String> {
        let mut roots = Vec::new();
        for pem in settings.ca.iter().flat_map(|text| certificates(text)) {
            roots.push(Certificate::from_pem(pem.as_bytes()).map_err(|error| error.to_string())?);
        }
        let bare = domain.trim_start_matches('[').trim_end_matches(']');
        let hello = match bare.parse() {
            Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) => ClientId::Domain(domain.to_owned()),
        };
        Ok(Self { settings: settings.clone(), hello, roots, tls: OnceLock::new() })
    }

    /// Connects, encrypts and signs in.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let SmtpSettings { host, port, security, credentials, .. } = &self.settings;
        let tls = match security {
            SmtpSecurity::Plain => None,
            SmtpSecurity::Tls | SmtpSecurity::StartTls => Some(self.tls()?),
        };
        let (at_once, later) = if *security == SmtpSecurity::Tls { (tls, None) } else { (None, tls) };
        let address = (host.as_str(), *port);
        let connected =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_MAX), &self.hello, at_once, None).await;
        let mut connection = connected
            .map_err(|error| Failure::new(format!("cannot connect to the mail server {self}"), &error))?;
        if let Some(tls) = later {
            let encrypted = connection.starttls(tls, &self.hello).await;
            encrypted.map_err(|error| {
                Failure::new(format!("the connection to the mail server {self} cannot be encrypted"), &error)
            })?;
        }
        if let Some((user, password)) = credentials {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let signed_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            signed_in.map_err(|error| {
                let refused =
                    format!("the mail server {self} does not accept user name and password (smtp.url)");
                Failure::at("user name and password", refused, &error)
            })?;
        }
        Ok(Connection(connection))
    }

    fn tls(&self) -> Result<TlsParameters, Failure> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut builder = TlsParameters::builder(self.settings.host.clone());
        for root in &self.roots {
            builder = builder.add_root_certificate(root.clone());
        }
        let made = builder.build().map_err(|error| Failure::new("TLS cannot be set up", &error))?;
        Ok(self.tls.get_or_init(|| made).clone())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.settings.host, self.settings.port)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// A connection that is ready for a mail.
pub(super) struct Connection(AsyncSmtpConnection);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Sends one mail. Returns the code and the text of the reply that says that the server took it.
    pub(super) async fn transact(&mut self, envelope: &Envelope) -> Result<(u16, String), Failure> {
        let failure =
            |what: &str, error| Failure::at(what, format!("the mail server refuses {what}"), &error);
        let command = self.0.command(Mail::new(Some(envelope.from.clone()), Vec::new())).await;
        command.map_err(|error| failure("the sender (smtp.from)", error))?;
        let command = self.0.command(Rcpt::new(envelope.to.clone(), Vec::new())).await;
        command.map_err(|error| failure("the recipient", error))?;
        let command = self.0.command(Data).await;
        command.map_err(|error| failure("the mail", error))?;
        let taken = self.0.message(&envelope.bytes).await;
        let taken = taken.map_err(|error| failure("the mail", error))?;
        Ok((taken.code().into(), text(&taken)))
    }

    /// Makes the server forget the mail that was refused. Returns whether another mail can follow.
    pub(super) async fn reset(&mut self) -> bool {
        self.0.command(Rset).await.is_ok()
    }

    /// Whether the server is still there.
    pub(super) async fn answers(&mut self) -> bool {
        self.0.test_connected().await
    }

    /// Ends the session.
    pub(super) async fn quit(mut self) {
        let _ = self.0.quit().await;
    }
}

/// Each certificate of a PEM file.
fn certificates(text: &str) -> impl Iterator<Item = String> {
    const END: &str = "-----END CERTIFICATE-----";
    text.split_inclusive(END).filter(|part| part.contains(END)).map(str::to_owned)
}

fn text(response: &Response) -> String {
    one_line(&response.message().collect::<Vec<_>>().join(" "))
}

/// What the other side wrote, on one line, without control characters and cut to [`REPLY_MAX`].
fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REPLY_MAX).collect();
    text.trim().to_owned()
}
