//! Certificates and keys from PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::config::{ClientCertificates, TlsConfig};

/// Why TLS cannot be spoken with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: no {expected} in PEM form")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key do not fit each other, or are not of a kind that can be used.
    #[error("{certificate} and {key} cannot be used")]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authority for clients cannot be used.
    #[error("{path} cannot be used: {problem}")]
    ClientCa {
        /// Its file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// What the files held when they were read.
pub(super) struct Files {
    certificate: (PathBuf, Vec<u8>),
    key: (PathBuf, Vec<u8>),
    client_ca: Option<(PathBuf, Vec<u8>)>,
    clients: ClientCertificates,
}

impl Files {
    /// Reads them; `None` where the settings name no certificate.
    pub(super) fn read(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&config.tls_certificate, &config.tls_key) else {
            return Ok(None);
        };
        Ok(Some(Self {
            certificate: read(certificate)?,
            key: read(key)?,
            client_ca: config.tls_client_ca.as_deref().map(read).transpose()?,
            clients: config.tls_client_certificates,
        }))
    }

    /// Tells contents apart. Of the key nothing can be learned from it.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (_, content) in [&self.certificate, &self.key].into_iter().chain(&self.client_ca) {
            hasher.update(blake3::hash(content).as_bytes());
        }
        hasher.finalize()
    }

    /// What connections are accepted with.
    pub(super) fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (path, pem) = &self.certificate;
        let chain = certificates(path, pem)?;
        let (key_path, pem) = &self.key;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_no_key| TlsError::Content {
            path: key_path.clone(),
            expected: "private key",
        })?;
        let unusable =
            |source| TlsError::Pair { certificate: path.clone(), key: key_path.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &self.client_ca {
            Some((path, pem)) => {
                builder.with_client_cert_verifier(self.verifier(path, pem, provider)?)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn verifier(
        &self,
        path: &Path,
        pem: &[u8],
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let unusable = |problem: String| TlsError::ClientCa { path: path.to_owned(), problem };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, pem)? {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match self.clients {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| unusable(error.to_string()))
    }
}

fn read(path: impl AsRef<Path>) -> Result<(PathBuf, Vec<u8>), TlsError> {
    let path = path.as_ref().to_owned();
    match fs::read(&path) {
        Ok(content) => Ok((path, content)),
        Err(source) => Err(TlsError::Read { path, source }),
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::Content { path: path.to_owned(), expected: "certificate" }),
    }
}
