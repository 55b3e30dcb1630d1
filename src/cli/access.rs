//! How a server is reached: its address, and how each side proves to the other who it is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::args::ServerUrl;
use super::error::CliError;

/// A server, and how to reach it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// Its address.
    pub(super) url: ServerUrl,
    /// Who proves what.
    pub(super) access: AccessArgs,
}

/// How each side proves to the other who it is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Access to a server")]
pub(super) struct AccessArgs {
    /// Trust the authorities in this file (PEM) and no others [default: those the system trusts]
    #[arg(long, value_name = "FILE", env = "DICTUM_CA", hide_env_values = true)]
    #[arg(hide_short_help = true)]
    ca: Option<PathBuf>,
    /// Show this certificate, and those that vouch for it (PEM)
    #[arg(long, value_name = "FILE", env = "DICTUM_CERTIFICATE", hide_env_values = true)]
    #[arg(hide_short_help = true, requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", env = "DICTUM_KEY", hide_env_values = true)]
    #[arg(hide_short_help = true, requires = "certificate")]
    key: Option<PathBuf>,
    /// Show this token; better set in the environment, where other users cannot see it
    #[arg(long, value_name = "TOKEN", env = "DICTUM_TOKEN", hide_env_values = true)]
    #[arg(hide_short_help = true)]
    token: Option<Token>,
}

impl Remote {
    /// The address, with TLS where the address says so.
    pub(super) fn endpoint(&self) -> Result<Endpoint, CliError> {
        let endpoint = Endpoint::from(self.url.uri().clone());
        if self.url.uri().scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let AccessArgs { ca, certificate, key, .. } = &self.access;
        let mut tls = match ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (certificate, key) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint
            .tls_config(tls)
            .map_err(|source| CliError::Connect { server: self.url.clone(), source })
    }

    /// What goes along with every call.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials(self.access.token.clone())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|source| CliError::Read { name: path.display().to_string(), source })
}

/// A token as it is sent. It is not shown.
#[derive(Clone)]
struct Token(MetadataValue<Ascii>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The text cannot be a token.
#[derive(Debug, thiserror::Error)]
#[error("a token has letters, digits and signs, and nothing else")]
struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        match format!("Bearer {text}").parse() {
            Ok(mut value) if is_plain => {
                MetadataValue::set_sensitive(&mut value, true);
                Ok(Self(value))
            }
            Ok(_) | Err(_) => Err(TokenError),
        }
    }
}

/// What goes along with every call.
#[derive(Debug, Clone)]
pub(super) struct Credentials(Option<Token>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(Token(value)) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
