//! A folder of models as a person sees it from outside, and what must be true of it after every fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use dictum::model::Model;
use dictum::store::{ModelName, Repository, StoreError, format};
use tempfile::TempDir;

use crate::program;

/// The model that things are done to.
pub(crate) const MODEL: &str = "mine";

/// A folder with a model, and everything that was ever seen of it.
pub(crate) struct Folder {
    home: TempDir,
    /// Of each version that was ever seen its content.
    seen: BTreeMap<u64, u64>,
    pub(crate) random: Random,
}

/// What stands in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) versions: BTreeSet<u64>,
    pub(crate) active: Option<u64>,
}

impl Folder {
    /// A folder with versions 1 and 2, of which 2 is active.
    pub(crate) fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// The same in a place.
    pub(crate) fn within(place: &Path) -> Self {
        let home = TempDir::new_in(place).expect("a temporary folder");
        fs::write(home.path().join("train.csv"), CSV).expect("a file");
        let folder = Self { home, seen: BTreeMap::new(), random: Random(1) };
        let repository = folder.repository();
        for _ in 0..2 {
            let version = repository.publish(&name(), &model()).expect("published");
            repository.activate(&name(), version).expect("activated");
        }
        folder
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.home.path().join("models")
    }

    /// A labelled CSV to train on.
    pub(crate) fn csv(&self) -> String {
        self.home.path().join("train.csv").to_str().expect("a plain path").to_owned()
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::open(self.models()).expect("a folder of models")
    }

    /// What stands there, without opening it as a repository.
    pub(crate) fn state(&self) -> State {
        let pointer = fs::read_to_string(self.models().join(MODEL).join("active"));
        let active = pointer.map(|text| text.lines().next().and_then(|line| line.parse().ok()));
        let versions = self.entries().iter().filter_map(|name| name.parse().ok()).collect();
        State { versions, active: active.expect("a pointer") }
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.models().join(MODEL)).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("text")).collect()
    }

    /// What a writer that died left.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        self.entries().into_iter().filter(|name| name.starts_with(".dictum-tmp-")).collect()
    }

    /// Starts the program anew, and returns what it finds. Asserts that nothing unfinished is left, that
    /// every version is whole and the one it ever was, and that the pointer points to one.
    pub(crate) fn after_start(&mut self) -> State {
        program::done(&self.models(), &["models", "verify"]);
        assert_eq!(self.leftovers(), [""; 0], "swept at the start");
        let state = self.state();
        for version in &state.versions {
            let path =
                self.models().join(MODEL).join(version.to_string()).join("model.safetensors");
            let mut hasher = DefaultHasher::new();
            fs::read(path).expect("a model file").hash(&mut hasher);
            let content = hasher.finish();
            assert_eq!(*self.seen.entry(*version).or_insert(content), content, "never changes");
        }
        let active = state.active.expect("a version is active");
        assert!(state.versions.contains(&active), "{state:?}");
        self.repository().load_active(&name()).expect("it answers");
        state
    }

    /// The highest number that was ever seen.
    pub(crate) fn highest(&self) -> u64 {
        self.seen.keys().last().copied().unwrap_or_default()
    }

    /// Asserts that after an operation there is the state before it or the state it makes, and the
    /// latter for certain if it was acknowledged. Returns whether it is the new one.
    pub(crate) fn check(&mut self, before: &State, made: &State, is_done: bool) -> bool {
        let found = self.after_start();
        assert!(found == *made || !is_done && found == *before, "{before:?} {made:?} {found:?}");
        found == *made
    }
}

pub(crate) fn name() -> ModelName {
    MODEL.parse().expect("a name")
}

/// A small model that knows the words of [`program::SENTENCE`].
pub(crate) fn model() -> Model {
    format::decode(&small_file()).expect("a golden file")
}

/// The file of that model.
pub(crate) fn small_file() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/v3/few.safetensors");
    fs::read(path).expect("a golden file")
}

/// Whether a load was refused for what the file is.
pub(crate) fn is_corrupt<T>(loaded: &Result<T, StoreError>) -> bool {
    matches!(loaded, Err(StoreError::Corrupt { .. }))
}

const CSV: &str = include_str!("../format/v1/train.csv");

/// Numbers by chance, the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}
