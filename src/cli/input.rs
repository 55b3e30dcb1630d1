//! A CSV to read: a file, or the standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::CliError;

/// An opened CSV.
pub(super) struct Input {
    /// Its bytes.
    pub(super) reader: Box<dyn Read + Send>,
    /// What to call it in messages.
    pub(super) name: String,
    /// Number of its bytes, where that is known.
    pub(super) n_bytes: Option<u64>,
}

impl Input {
    /// Opens a file, or the standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        if path.as_os_str() == "-" {
            let reader = Box::new(io::stdin());
            return Ok(Self { reader, name: "standard input".to_owned(), n_bytes: None });
        }
        let name = path.display().to_string();
        let open = || -> io::Result<(File, Option<u64>)> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata.is_file().then_some(metadata.len())))
        };
        match open() {
            Ok((file, n_bytes)) => Ok(Self { reader: Box::new(file), name, n_bytes }),
            Err(source) => Err(CliError::Read { name, source }),
        }
    }
}
