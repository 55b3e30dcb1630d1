//! Key files: who signs, and whose signatures are taken.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::store::{KeyError, Signatures, Signer, TrustedKeys};

/// Reads the files of both, where given.
pub(super) fn signatures(
    trusted: Option<&PathBuf>,
    signer: Option<&PathBuf>,
) -> Result<Signatures, CliError> {
    let keys = trusted.map(|path| trusted_keys(path)).transpose()?;
    let signatures = Signatures::try_new(keys, signer.map(|path| signing_key(path)).transpose()?);
    signatures.map_err(key_error(signer.map_or(Path::new(""), PathBuf::as_path)))
}

/// Reads a file with public keys.
pub(super) fn trusted_keys(path: &Path) -> Result<TrustedKeys, CliError> {
    TrustedKeys::from_pem(&read(path)?).map_err(key_error(path))
}

/// Reads a file with a secret key.
pub(super) fn signing_key(path: &Path) -> Result<Signer, CliError> {
    Signer::from_pem(&read(path)?).map_err(key_error(path))
}

fn read(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path)
        .map_err(|source| CliError::Read { name: path.display().to_string(), source })
}

fn key_error(path: &Path) -> impl FnOnce(KeyError) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Key { path, source }
}
