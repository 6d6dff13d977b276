//! An app that serves HTTPS, with a new self-signed certificate.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client};
use tempfile::TempDir;

use super::{Engine, TestApp, openssl};

/// A certificate for this machine and its key, in PEM files.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// Makes `NAME-cert.pem` and `NAME-key.pem` in a folder.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let file = |what: &str| folder.join(format!("{name}-{what}.pem"));
        let pair = Self { certificate: file("cert"), key: file("key") };
        let made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                    -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        let mut arguments: Vec<&str> = made.split_ascii_whitespace().collect();
        arguments.extend(["-keyout", pair.key.to_str().unwrap(), "-out", pair.certificate.to_str().unwrap()]);
        openssl(&arguments);
        pair
    }

    /// A client that trusts this certificate and no other.
    pub(crate) fn client(&self) -> Client {
        let trusted = Certificate::from_pem(&std::fs::read(&self.certificate).unwrap()).unwrap();
        // Without a pool, each request makes its own handshake.
        let builder = Client::builder().no_proxy().pool_max_idle_per_host(0);
        builder.tls_certs_only([trusted]).build().unwrap()
    }
}

/// An app that serves HTTPS.
pub(crate) struct TlsApp {
    pub(crate) app: TestApp,
    /// `https://` and its address.
    pub(crate) base: String,
    /// A client that trusts the certificate of the app.
    pub(crate) http: Client,
    _folder: TempDir,
}

/// Starts an app that serves HTTPS, with the issuer `https://tokens.example.com`.
pub(crate) async fn tls_app(engine: Engine) -> TlsApp {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new(folder.path(), "tls");
    let settings = format!(
        "server.public_url = \"https://tokens.example.com\"\nserver.tls.cert_file = \"{}\"\nserver.tls.key_file = \"{}\"",
        pair.certificate.display(),
        pair.key.display()
    );
    let app = TestApp::start_with(engine, &settings).await;
    let base = app.base.replace("http://", "https://");
    TlsApp { http: pair.client(), app, base, _folder: folder }
}
