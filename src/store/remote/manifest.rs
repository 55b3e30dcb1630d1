//! What there is of one model: the object that every change goes through.
//!
//! ```text
//! 5f1c…09aa⏎                                        BLAKE3 of what follows, 64 hexadecimal digits
//! {"format":1,"active":7,"previous":3,"highest":9,"versions":[
//!   {"version":3,"size_bytes":81256,"created_ms":1764075600000,"blake3":"91b2…","signature":"ed25519 …\n"},
//!   {"version":7,…}]}
//! ```
//!
//! `highest` is the highest number that a version has or had; `created_ms` counts milliseconds from 1970;
//! `blake3` is that of the model file as it is; `signature`, if there is one, is what would stand in the
//! file of that name in a folder.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::super::{FormatError, Retention, VersionInfo};

const FORMAT: u32 = 1;
/// Length of the digest and its line end.
const DIGEST_LEN: usize = 2 * blake3::OUT_LEN + 1;

/// What there is of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) active: Option<u64>,
    previous: Option<u64>,
    pub(super) highest: u64,
    /// Ascending.
    pub(super) versions: Vec<Entry>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) size_bytes: u64,
    created_ms: u64,
    pub(super) blake3: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format: FORMAT, active: None, previous: None, highest: 0, versions: Vec::new() }
    }
}

impl Entry {
    /// A version that comes to be now.
    pub(super) fn new(version: u64, file: &[u8], signature: Option<String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            version,
            size_bytes: file.len() as u64,
            created_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            blake3: blake3::hash(file).to_hex().to_string(),
            signature,
        }
    }

    /// Whether these bytes are the version's file.
    pub(super) fn fits(&self, file: &[u8]) -> bool {
        file.len() as u64 == self.size_bytes && *blake3::hash(file).to_hex() == *self.blake3
    }
}

impl Manifest {
    /// Reads the content of the object.
    pub(super) fn parse(content: &[u8]) -> Result<Self, FormatError> {
        let (digest, json) = content.split_at_checked(DIGEST_LEN).ok_or(FormatError::Digest)?;
        if digest != line(json) {
            return Err(FormatError::Digest);
        }
        let wrong = |problem: String| FormatError::Metadata(problem);
        let manifest: Self = serde_json::from_slice(json).map_err(|e| wrong(e.to_string()))?;
        if manifest.format != FORMAT {
            let found = manifest.format.to_string();
            return Err(FormatError::Version { found, supported: FORMAT });
        }
        let ascends = manifest.versions.is_sorted_by(|a, b| a.version < b.version);
        let highest = manifest.versions.last().map_or(0, |entry| entry.version);
        let points = manifest.active.is_none_or(|active| manifest.entry(active).is_some());
        if ascends && points && highest <= manifest.highest {
            Ok(manifest)
        } else {
            Err(wrong("its versions contradict each other".to_owned()))
        }
    }

    /// Returns the content of the object.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let json = serde_json::to_vec(self).map_err(|e| FormatError::Metadata(e.to_string()))?;
        Ok([line(&json), json].concat())
    }

    /// Returns one version.
    pub(super) fn entry(&self, version: u64) -> Option<&Entry> {
        self.versions.iter().find(|entry| entry.version == version)
    }

    /// Returns all versions as they are described.
    pub(super) fn infos(&self) -> Vec<VersionInfo> {
        self.versions.iter().map(|entry| self.info(entry)).collect()
    }

    /// Returns a version as it is described.
    pub(super) fn info(&self, entry: &Entry) -> VersionInfo {
        VersionInfo {
            version: entry.version,
            active: self.active == Some(entry.version),
            size_bytes: entry.size_bytes,
            created: UNIX_EPOCH + Duration::from_millis(entry.created_ms),
        }
    }

    /// Takes a version in, and lets go of those that need not be kept.
    pub(super) fn add(&mut self, entry: Entry, retention: Retention) {
        self.highest = self.highest.max(entry.version);
        self.versions.push(entry);
        self.versions.sort_unstable_by_key(|entry| entry.version);
        for version in retention.surplus(&self.infos(), self.previous, SystemTime::now()) {
            self.remove(version);
        }
    }

    /// Puts a signature to a version.
    pub(super) fn sign(&mut self, version: u64, signature: String) {
        if let Some(entry) = self.versions.iter_mut().find(|entry| entry.version == version) {
            entry.signature = Some(signature);
        }
    }

    /// Lets go of a version.
    pub(super) fn remove(&mut self, version: u64) {
        self.versions.retain(|entry| entry.version != version);
    }

    /// Makes a version the active one, and returns which was before.
    pub(super) fn activate(&mut self, version: u64) -> Option<u64> {
        let before = self.active.replace(version);
        if before != Some(version) {
            self.previous = before;
        }
        before
    }
}

fn line(json: &[u8]) -> Vec<u8> {
    format!("{}\n", blake3::hash(json).to_hex()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let mut manifest = Manifest::default();
        for version in 1..=3 {
            let signature = (version == 2).then(|| "ed25519 …\n".to_owned());
            manifest.add(Entry::new(version, b"model", signature), Retention::default());
        }
        manifest.activate(2);
        manifest
    }

    #[test]
    fn what_is_written_is_read_and_a_change_of_any_bit_is_refused() {
        let bytes = manifest().to_bytes().unwrap();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest_of(&bytes));
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::parse(&bytes).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(Manifest::parse(&bytes[..end]).is_err(), "{end} bytes");
        }
    }

    fn manifest_of(bytes: &[u8]) -> Manifest {
        serde_json::from_slice(&bytes[DIGEST_LEN..]).unwrap()
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            Manifest::parse(&manifest.to_bytes().unwrap()).unwrap_err()
        };
        assert!(matches!(refused(|m| m.active = Some(4)), FormatError::Metadata(_)));
        assert!(matches!(refused(|m| m.highest = 2), FormatError::Metadata(_)));
        assert!(matches!(refused(|m| m.versions.reverse()), FormatError::Metadata(_)));
        assert!(matches!(refused(|m| m.format = 2), FormatError::Version { .. }));
    }

    #[test]
    fn retention_spares_what_is_active_and_what_was() {
        let mut manifest = manifest();
        manifest.activate(1);
        let retention = Retention { keep_versions: Some(1), keep_age: None };
        manifest.add(Entry::new(4, b"model", None), retention);
        let left: Vec<_> = manifest.infos().iter().map(|v| (v.version, v.active)).collect();
        assert_eq!(left, [(1, true), (2, false), (4, false)]);
        assert_eq!(manifest.highest, 4);
    }
}
