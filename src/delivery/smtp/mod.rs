//! Sends a delivery as a mail, through the configured server. Without one, subject and recipient go to the log.

mod connection;
mod mail;

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::messages;
use super::schedule::ATTEMPT_MAX;
use crate::config::{PublicUrl, SmtpSettings};
use crate::kernel::Kernel;
use crate::model::delivery::{Claimed, LOGGED, Outcome, Report};
use connection::{Connection, Failure, Server};
use mail::Envelope;

/// How long a connection is kept open for the next mail.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// How many connections are kept open.
const IDLE_CONNECTIONS: usize = 2;
/// How long `QUIT` may take.
const QUIT_MAX: Duration = Duration::from_millis(500);

/// Sends mails. The default has no server.
#[derive(Debug, Default)]
pub struct Smtp {
    server: Option<Server>,
    /// The part of a `Message-ID` after the @.
    domain: String,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// Why `smtp.ca_file` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("smtp.ca_file: {0}. Correct the file or its path")]
pub struct BadCertificates(String);

impl Smtp {
    /// Sends through the server of `settings`, for the issuer at `public_url`. Connects when there is something to send.
    ///
    /// # Errors
    /// [`BadCertificates`].
    pub fn new(settings: Option<&SmtpSettings>, public_url: &PublicUrl) -> Result<Self, BadCertificates> {
        let domain = public_url.host().to_owned();
        let server = settings.map(|settings| Server::new(settings, &domain)).transpose();
        Ok(Self { server: server.map_err(BadCertificates)?, domain, idle: Mutex::default() })
    }

    /// Makes one attempt. The worker stops it after [`ATTEMPT_MAX`].
    pub(super) async fn send(&self, claimed: &Claimed, kernel: &Kernel) -> Outcome {
        let dead = |error: String| Outcome::Dead(Report { error: Some(error), ..Report::default() });
        let message = match messages::of(claimed, kernel) {
            Ok(message) => message,
            Err(error) => return dead(error.to_string()),
        };
        let Some(server) = &self.server else {
            let (delivery_id, recipient) = (&claimed.delivery_id, &claimed.recipient);
            let subject = message.subject.as_str();
            tracing::info!(
                delivery_id,
                recipient,
                subject,
                "a mail is not sent, because smtp.url is not set"
            );
            return Outcome::Sent(Report { reply: Some(LOGGED.to_owned()), ..Report::default() });
        };
        let envelope = match Envelope::new(claimed, &message, server, &self.domain) {
            Ok(envelope) => envelope,
            Err(why) => return dead(why),
        };
        let mut connection = match self.connection(server).await {
            Ok(connection) => connection,
            // The server or the settings are to blame: any other mail would fail, too.
            Err(failure) => return Outcome::Retry { retry_after: None, report: report(&failure) },
        };
        match connection.transact(&envelope).await {
            Ok(reply) => {
                self.keep(connection).await;
                Outcome::Sent(Report { status: Some(reply.0), error: None, reply: Some(reply.1) })
            }
            Err(failure) => {
                if failure.status.is_some() && connection.reset().await {
                    self.keep(connection).await;
                }
                let report = report(&failure);
                if failure.is_permanent {
                    Outcome::Dead(report)
                } else {
                    Outcome::Retry { retry_after: None, report }
                }
            }
        }
    }

    /// Connects, signs in and disconnects, for `mintmark check --connect`. Returns the host and port that were reached; `None`
    /// if no server is configured.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn check(&self) -> Option<Result<String, String>> {
        let server = self.server.as_ref()?;
        let reached = match timeout(ATTEMPT_MAX, server.connect()).await {
            Ok(Ok(connection)) => {
                let _ = timeout(QUIT_MAX, connection.quit()).await;
                Ok(server.to_string())
            }
            Ok(Err(failure)) => Err(failure.to_string()),
            Err(_) => Err(format!("{server} did not answer in time")),
        };
        Some(reached)
    }

    /// Closes connections that were unused for [`IDLE_MAX`].
    pub(super) async fn close_idle(&self) {
        let mut idle = self.idle.lock().await;
        let (old, kept) = idle.drain(..).partition(|(_, since)| since.elapsed() >= IDLE_MAX);
        *idle = kept;
        drop(idle);
        Self::quit(old).await;
    }

    /// Closes all unused connections.
    pub(super) async fn close(&self) {
        let all = std::mem::take(&mut *self.idle.lock().await);
        Self::quit(all).await;
    }

    async fn quit(connections: Vec<(Connection, Instant)>) {
        for (connection, _) in connections {
            let _ = timeout(QUIT_MAX, connection.quit()).await;
        }
    }

    /// A connection that is known to answer.
    async fn connection(&self, server: &Server) -> Result<Connection, Failure> {
        loop {
            let Some((mut connection, since)) = self.idle.lock().await.pop() else {
                return server.connect().await;
            };
            if since.elapsed() < IDLE_MAX && connection.answers().await {
                return Ok(connection);
            }
        }
    }

    async fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().await;
        if idle.len() < IDLE_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }
}

fn report(failure: &Failure) -> Report {
    Report { status: failure.status, error: Some(failure.to_string()), reply: failure.reply.clone() }
}
