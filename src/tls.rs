//! TLS for the listeners, without a proxy: certificate chain and key from PEM files.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsSettings;

/// TLS 1.2 and 1.3 with the defaults of rustls, and ring for the cryptography.
///
/// # Errors
/// The file and the problem, as text for the operator.
pub(crate) fn server_config(files: &TlsSettings) -> Result<ServerConfig, String> {
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("server.tls.cert_file {}: {error}", files.cert_file.display()))?;
    if chain.is_empty() {
        return Err(format!(
            "server.tls.cert_file {}: it contains no certificate. Write the certificate chain into it, in PEM",
            files.cert_file.display()
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|error| format!("server.tls.key_file {}: {error}", files.key_file.display()))?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("server.tls: the certificate does not belong to the key: {error}. Set server.tls.cert_file and server.tls.key_file to a pair"))
}
