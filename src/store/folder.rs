//! The folder of one model, for reading: which versions it holds, and which is active.
//!
//! ```text
//! NAME/7/model.safetensors   version 7
//! NAME/7/signature           who vouches for it, if anybody does
//! NAME/active                "7\n", and on a second line the version that was active before, if any
//! NAME/last-deleted          the highest number of a deleted version, so that no number is used twice
//! NAME/.lock                 locked by whoever writes
//! NAME/.training             locked by whoever trains, who removes it
//! NAME/.dictum-tmp-*         work of the writer, or what a dead one left
//! ```
//!
//! What else there is, is left alone.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    ModelName, StoreError,
    files::{Entry, Files, Kind},
    signature::MAX_SIGNATURE_BYTES,
};

/// Name of the model file in the folder of its version.
pub(super) const MODEL_FILE: &str = "model.safetensors";
/// Name of the signature beside it.
pub(super) const SIGNATURE: &str = "signature";
/// Name of the pointer to the active version.
pub(super) const ACTIVE: &str = "active";
/// Name of the record of the highest number of a deleted version.
pub(super) const LAST_DELETED: &str = "last-deleted";
/// Name of the file that a writer locks.
pub(super) const LOCK: &str = ".lock";
/// Name of the file that a trainer locks.
pub(super) const TRAINING: &str = ".training";
/// How the names of unfinished work begin.
pub(super) const TEMPORARY: &str = ".dictum-tmp-";

/// Longest record in bytes: two version numbers with their line ends.
const MAX_RECORD_BYTES: u64 = 64;

/// The folder of one model. Nothing is known of it yet, not even that it exists.
#[derive(Debug, Clone)]
pub(super) struct ModelFolder<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) name: &'a ModelName,
    pub(super) path: PathBuf,
}

/// What the pointer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) active: u64,
    /// The version that was active before, if there was one; it may be deleted.
    pub(super) previous: Option<u64>,
}

impl ModelFolder<'_> {
    /// Returns the versions with their model files, ascending. A folder that is none of a version is passed
    /// over.
    pub(super) fn versions(&self) -> Result<Vec<(u64, Entry)>, StoreError> {
        let Some(Entry { kind: Kind::Folder, .. }) = self.entry(&self.path)? else {
            return Ok(Vec::new());
        };
        let mut numbers = self.numbers()?;
        loop {
            let versions = self.find_all(&numbers)?;
            if versions.len() == numbers.len() {
                return Ok(versions);
            }
            // A folder without a file, or a version that was deleted while we looked. In its stead there may
            // be one that we have not seen: the one whose coming allowed for the deletion.
            let seen = std::mem::replace(&mut numbers, self.numbers()?);
            if numbers == seen {
                return Ok(versions);
            }
        }
    }

    fn find_all(&self, numbers: &[u64]) -> Result<Vec<(u64, Entry)>, StoreError> {
        let mut versions = Vec::new();
        for version in numbers {
            match self.find(*version) {
                Ok(Some(file)) => versions.push((*version, file)),
                Ok(None) | Err(StoreError::NotPlain { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(versions)
    }

    /// Returns the path of the model file of a version, and what stands there.
    pub(super) fn model_file(&self, version: u64) -> Result<(PathBuf, Entry), StoreError> {
        self.check_plain()?;
        match self.find(version)? {
            Some(file) => Ok((self.version_path(version).join(MODEL_FILE), file)),
            None => Err(self.unknown(version)?),
        }
    }

    /// Returns the content of the signature of a version, or `None` where there is none.
    pub(super) fn signature(&self, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.small_file(self.version_path(version).join(SIGNATURE), MAX_SIGNATURE_BYTES)
    }

    /// Returns what the pointer says, or `None` where there is none.
    pub(super) fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        let Some(versions) = self.record(ACTIVE)? else { return Ok(None) };
        match versions.as_slice() {
            [active] => Ok(Some(Pointer { active: *active, previous: None })),
            [active, previous] => Ok(Some(Pointer { active: *active, previous: Some(*previous) })),
            _ => Err(StoreError::Record { path: self.path.join(ACTIVE) }),
        }
    }

    /// Returns the highest number that a version has or had, 0 where there was none.
    pub(super) fn highest_number(&self) -> Result<u64, StoreError> {
        let deleted = self.record(LAST_DELETED)?.unwrap_or_default();
        Ok(self.numbers()?.into_iter().chain(deleted).max().unwrap_or_default())
    }

    /// Returns the names of unfinished work.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let is_leftover = |name: &String| name.starts_with(TEMPORARY);
        Ok(self.list()?.into_iter().filter(is_leftover).map(|name| self.path.join(name)).collect())
    }

    /// Returns where a version has its folder.
    pub(super) fn version_path(&self, version: u64) -> PathBuf {
        self.path.join(version.to_string())
    }

    /// Returns what stands at a path.
    pub(super) fn entry(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        self.files.entry(path).map_err(StoreError::io("look at", path))
    }

    /// Refuses a link, or anything else that is no folder, in place of the model's folder.
    pub(super) fn check_plain(&self) -> Result<(), StoreError> {
        match self.entry(&self.path)? {
            Some(Entry { kind: Kind::Folder, .. }) => Ok(()),
            Some(_) => Err(StoreError::NotPlain { path: self.path.clone() }),
            None => Err(StoreError::UnknownModel { name: self.name.clone() }),
        }
    }

    /// Returns what to say of a version that is not there.
    pub(super) fn unknown(&self, version: u64) -> Result<StoreError, StoreError> {
        let name = self.name.clone();
        if self.versions()?.is_empty() {
            return Ok(StoreError::UnknownModel { name });
        }
        Ok(StoreError::UnknownVersion { name, version })
    }

    /// Returns the model file of a version.
    fn find(&self, version: u64) -> Result<Option<Entry>, StoreError> {
        let folder = self.version_path(version);
        match self.entry(&folder)? {
            None => return Ok(None),
            Some(Entry { kind: Kind::Folder, .. }) if version > 0 => {}
            Some(_) => return Err(StoreError::NotPlain { path: folder }),
        }
        let path = folder.join(MODEL_FILE);
        match self.entry(&path)? {
            None => Ok(None),
            Some(file) if file.kind == Kind::File => Ok(Some(file)),
            Some(_) => Err(StoreError::NotPlain { path }),
        }
    }

    /// Returns the numbers that stand as names in the folder, ascending, whether they are versions or not.
    fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers: Vec<_> =
            self.list()?.iter().filter_map(|name| parse_version(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Returns the names in the folder that are UTF-8; ours are.
    fn list(&self) -> Result<Vec<String>, StoreError> {
        let names = self.files.list(&self.path).map_err(StoreError::io("list", &self.path))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// Reads a file of version numbers, one a line, or `None` where there is no such file.
    fn record(&self, file: &str) -> Result<Option<Vec<u64>>, StoreError> {
        let path = self.path.join(file);
        let Some(content) = self.small_file(path.clone(), MAX_RECORD_BYTES)? else {
            return Ok(None);
        };
        match parse_record(&content) {
            Some(versions) => Ok(Some(versions)),
            None => Err(StoreError::Record { path }),
        }
    }

    /// Reads a file, or returns `None` where there is none.
    fn small_file(&self, path: PathBuf, max_bytes: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.entry(&path)? {
            None => return Ok(None),
            Some(entry) if entry.kind == Kind::File => {}
            Some(_) => return Err(StoreError::NotPlain { path }),
        }
        match self.files.read(&path, max_bytes) {
            Ok(content) => Ok(Some(content)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("read", &path)(e)),
        }
    }
}

/// Returns the version a name stands for: decimal, without leading zeros, at least 1.
fn parse_version(text: &str) -> Option<u64> {
    let version: u64 = text.parse().ok()?;
    (version > 0 && version.to_string() == text).then_some(version)
}

/// Returns the numbers of a record. The last line must be ended: a number could be cut off.
fn parse_record(content: &[u8]) -> Option<Vec<u64>> {
    let lines = std::str::from_utf8(content).ok()?.strip_suffix('\n')?;
    lines.split('\n').map(parse_version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_from_1_are_versions() {
        for good in [1, 10, u64::MAX] {
            assert_eq!(parse_version(&good.to_string()), Some(good));
        }
        for bad in ["", "0", "01", "+1", "-1", "1 ", "1.0", "x", "18446744073709551616", "١"] {
            assert_eq!(parse_version(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_record_is_lines_of_numbers_and_the_last_line_is_ended() {
        assert_eq!(parse_record(b"12\n"), Some(vec![12]));
        assert_eq!(parse_record(b"12\n7\n"), Some(vec![12, 7]));
        for bad in ["", "1", "12\n\n", "\n", "x\n", "1 2\n", "12\r\n", "12\r\n7\n"] {
            assert_eq!(parse_record(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_record(b"\xff\n"), None);
    }
}
