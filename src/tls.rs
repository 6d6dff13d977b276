//! TLS that the listeners speak themselves, without a proxy. The certificate chain and the key are in PEM files, which are read
//! again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsSettings;

/// The certificate in use, with its key. Open connections keep the certificate that they began with.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: TlsSettings,
    in_use: ArcSwap<ServerConfig>,
    /// The state of the files when they were last read, even if they could not be used; `None` if one was missing.
    seen: Mutex<Option<[Stamp; 2]>>,
}

/// What identifies the state of a file: device, inode, size, and the time of its last change.
type Stamp = (u64, u64, u64, i64, i64);

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// The file and the problem, as text for the operator.
    pub(crate) fn read(files: &TlsSettings) -> Result<Self, String> {
        let seen = stamps(files);
        let in_use = ArcSwap::from_pointee(server_config(files)?);
        Ok(Self { files: files.clone(), in_use, seen: Mutex::new(seen) })
    }

    /// The configuration for a new handshake.
    pub(crate) fn in_use(&self) -> Arc<ServerConfig> {
        self.in_use.load_full()
    }

    /// Reads the files again. If they cannot be used, the certificate in use stays, and the log says why.
    pub(crate) fn reload(&self) {
        // Before the files are read, so that a change during the reading is noticed.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamps(&self.files);
        match server_config(&self.files) {
            Ok(config) => {
                self.in_use.store(Arc::new(config));
                let file = self.files.cert_file.display();
                tracing::info!(cert_file = %file, "the TLS certificate was read again; new connections use it");
            }
            Err(why) => {
                tracing::warn!("the TLS certificate in use stays, because the new one cannot be used: {why}");
            }
        }
    }

    /// Reads the files again if they have changed. While one of them is missing, as between two steps of a renewal,
    /// nothing is done.
    pub(crate) fn reload_if_changed(&self) {
        let now = stamps(&self.files);
        if now.is_some() && *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != now {
            self.reload();
        }
    }
}

fn stamps(files: &TlsSettings) -> Option<[Stamp; 2]> {
    Some([stamp(&files.cert_file)?, stamp(&files.key_file)?])
}

fn stamp(file: &Path) -> Option<Stamp> {
    let data = fs::metadata(file).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}

/// TLS 1.2 and 1.3 with the defaults of rustls, and ring for the cryptography.
fn server_config(files: &TlsSettings) -> Result<ServerConfig, String> {
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| {
            format!(
                "server.tls.cert_file {} cannot be read: {error}. It must be a PEM file with the certificate chain, which the \
                 user who runs mintmark may read",
                files.cert_file.display()
            )
        })?;
    if chain.is_empty() {
        return Err(format!(
            "server.tls.cert_file {}: it contains no certificate. Write the certificate chain into it, in PEM",
            files.cert_file.display()
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(|error| {
        format!(
            "server.tls.key_file {} cannot be read: {error}. It must be a PEM file with the private key, which the user who \
             runs mintmark may read",
            files.key_file.display()
        )
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            format!(
                "server.tls: the certificate and the key cannot be used: {error}. Set server.tls.cert_file and \
                 server.tls.key_file to a certificate and its private key"
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
