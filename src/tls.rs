//! TLS for the listener, when it is not left to a proxy: certificate chain and key from PEM files, through ring.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsSettings;

/// The server's TLS configuration: TLS 1.2 and 1.3 with the safe defaults of rustls.
///
/// # Errors
/// What is wrong with which file, for the operator.
pub(crate) fn server_config(files: &TlsSettings) -> Result<ServerConfig, String> {
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("server.tls.cert_file {}: {error}", files.cert_file.display()))?;
    if chain.is_empty() {
        return Err(format!("server.tls.cert_file {}: no certificate in it", files.cert_file.display()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|error| format!("server.tls.key_file {}: {error}", files.key_file.display()))?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("server.tls: certificate and key do not go together: {error}"))
}
