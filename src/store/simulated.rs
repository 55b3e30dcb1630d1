//! A file system for tests: in memory, failing where it is told to, and forgetting what was not synced.
//!
//! Every step that a disk could fail at is counted: a write is four (make, half, whole, sync), a
//! removal one for each thing removed. A loss of power keeps of each folder the last synced state and any
//! of the changes since, and of each file the synced content, the whole, or half of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::files::{Entry, Files, Kind, Lock};

/// What goes wrong, counting from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// This step fails, the others do not.
    Once(usize),
    /// From this step on nothing can be written, but removed.
    DiskFull(usize),
    /// From this step on nothing happens any more: the process is dead. Steps that only read are not
    /// counted: to die at one is to die before the next that changes something.
    Kill(usize),
}

/// The files, shared by all clones.
#[derive(Debug, Clone, Default)]
pub(super) struct SimulatedFiles {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone)]
struct State {
    /// The root folder is the first.
    nodes: Vec<Node>,
    locked: BTreeSet<PathBuf>,
    fault: Option<Fault>,
    n_steps: usize,
    n_changes: usize,
    has_failed: bool,
}

type Entries = BTreeMap<OsString, usize>;

#[derive(Debug, Clone)]
enum Node {
    File {
        content: Vec<u8>,
        synced: Vec<u8>,
    },
    /// The entries, those at the last sync, and each change since.
    Folder {
        entries: Entries,
        synced: Entries,
        changes: Vec<Change>,
    },
}

/// What happened to a folder at one go: names and what they stand for from then on.
type Change = Vec<(OsString, Option<usize>)>;

impl Node {
    fn empty_file() -> Self {
        Self::File { content: Vec::new(), synced: Vec::new() }
    }

    fn empty_folder() -> Self {
        Self::Folder { entries: Entries::new(), synced: Entries::new(), changes: Vec::new() }
    }

    fn lose_power(&mut self, mut choose: impl FnMut(usize) -> usize) {
        match self {
            Self::File { content, synced } if content != synced => {
                let half = content[..content.len() / 2].to_vec();
                let survivors = [synced.clone(), half, content.clone()];
                content.clone_from(&survivors[choose(3)]);
                synced.clone_from(content);
            }
            Self::File { .. } => {}
            Self::Folder { entries, synced, changes } => {
                changes.retain(|_| choose(2) == 1);
                for change in changes.drain(..) {
                    apply(synced, change);
                }
                entries.clone_from(synced);
            }
        }
    }
}

fn apply(entries: &mut Entries, change: Change) {
    for (name, node) in change {
        match node {
            Some(node) => entries.insert(name, node),
            None => entries.remove(&name),
        };
    }
}

impl Default for State {
    fn default() -> Self {
        let nodes = vec![Node::empty_folder()];
        Self {
            nodes,
            locked: BTreeSet::new(),
            fault: None,
            n_steps: 0,
            n_changes: 0,
            has_failed: false,
        }
    }
}

impl SimulatedFiles {
    /// Returns a copy that shares nothing.
    pub(super) fn copy(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// Counts steps from here, and makes one of them go wrong.
    pub(super) fn inject(&self, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.has_failed) = (Some(fault), false);
        (state.n_steps, state.n_changes) = (0, 0);
    }

    /// Ends the process, if it has not: locks are free, and nothing fails any more. Returns whether
    /// the fault was met.
    pub(super) fn restart(&self) -> bool {
        let mut state = self.state();
        state.locked.clear();
        state.fault = None;
        state.has_failed
    }

    /// Loses power: `choose(n)` is asked for a number below n wherever more than one thing can survive,
    /// 0 being the least.
    pub(super) fn lose_power(&self, mut choose: impl FnMut(usize) -> usize) {
        self.restart();
        for node in &mut self.state().nodes {
            node.lose_power(&mut choose);
        }
    }

    /// Returns the paths of everything there is, below the root.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let state = self.state();
        let mut paths = Vec::new();
        let mut open = vec![(PathBuf::from("/"), 0)];
        while let Some((path, node)) = open.pop() {
            if let Node::Folder { entries, .. } = &state.nodes[node] {
                open.extend(entries.iter().map(|(name, entry)| (path.join(name), *entry)));
            }
            paths.push(path);
        }
        paths
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a step does to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reads,
    Adds,
    Removes,
}

impl State {
    /// Counts a step, or fails it.
    fn step(&mut self, step: Step) -> io::Result<()> {
        let at = self.n_steps;
        self.n_steps += 1;
        self.n_changes += usize::from(step != Step::Reads);
        let error = match self.fault {
            Some(Fault::Once(n)) if n == at => io::Error::other("input/output error"),
            Some(Fault::DiskFull(n)) if n <= at && step == Step::Adds => {
                io::ErrorKind::StorageFull.into()
            }
            Some(Fault::Kill(n)) if n < self.n_changes => io::Error::other("dead"),
            _ => return Ok(()),
        };
        self.has_failed = true;
        Err(error)
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut node = 0;
        for name in path.components().skip(1) {
            let entries = self.entries(node)?;
            node = *entries.get(name.as_os_str()).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    fn entries(&self, node: usize) -> io::Result<&Entries> {
        match &self.nodes[node] {
            Node::Folder { entries, .. } => Ok(entries),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Changes what names stand for, in the folder that the path lies in.
    fn change(&mut self, path: &Path, change: Change) -> io::Result<()> {
        let parent = self.find(path.parent().unwrap())?;
        match &mut self.nodes[parent] {
            Node::File { .. } => return Err(io::ErrorKind::NotADirectory.into()),
            Node::Folder { entries, changes, .. } => {
                apply(entries, change.clone());
                changes.push(change);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let index = self.nodes.len();
        self.nodes.push(node);
        self.change(path, vec![(last_name(path), Some(index))])?;
        Ok(index)
    }

    fn set_content(&mut self, node: usize, bytes: &[u8]) {
        if let Node::File { content, .. } = &mut self.nodes[node] {
            *content = bytes.to_vec();
        }
    }

    fn sync(&mut self, node: usize) {
        match &mut self.nodes[node] {
            Node::File { content, synced } => synced.clone_from(content),
            Node::Folder { entries, synced, changes } => {
                synced.clone_from(entries);
                changes.clear();
            }
        }
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if matches!(self.nodes[node], Node::Folder { .. }) {
            let names: Vec<_> = self.entries(node)?.keys().cloned().collect();
            for name in names {
                self.remove(&path.join(name))?;
            }
        }
        self.step(Step::Removes)?;
        self.change(path, vec![(last_name(path), None)])
    }
}

fn last_name(path: &Path) -> OsString {
    path.file_name().map(OsStr::to_owned).unwrap()
}

impl Files for SimulatedFiles {
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        let mut state = self.state();
        state.step(Step::Reads)?;
        let Ok(node) = state.find(path) else { return Ok(None) };
        let (kind, len) = match &state.nodes[node] {
            Node::File { content, .. } => (Kind::File, content.len() as u64),
            Node::Folder { .. } => (Kind::Folder, 0),
        };
        Ok(Some(Entry { kind, len, modified: SystemTime::UNIX_EPOCH }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut state = self.state();
        state.step(Step::Reads)?;
        let node = state.find(folder)?;
        Ok(state.entries(node)?.keys().cloned().collect())
    }

    fn read(&self, file: &Path, _max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        state.step(Step::Reads)?;
        let node = state.find(file)?;
        match &state.nodes[node] {
            Node::File { content, .. } => Ok(content.clone()),
            Node::Folder { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn read_first(&self, file: &Path, n_bytes: usize) -> io::Result<Vec<u8>> {
        let mut content = self.read(file, u64::MAX)?;
        content.truncate(n_bytes);
        Ok(content)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(Step::Adds)?;
        state.add(folder, Node::empty_folder()).map(|_| ())
    }

    fn write_synced(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.step(Step::Adds)?;
        let node = state.add(file, Node::empty_file())?;
        state.step(Step::Adds)?;
        state.set_content(node, &bytes[..bytes.len() / 2]);
        state.step(Step::Adds)?;
        state.set_content(node, bytes);
        state.step(Step::Adds)?;
        state.sync(node);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(Step::Adds)?;
        let node = state.find(folder)?;
        state.sync(node);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step(Step::Adds)?;
        let node = state.find(from)?;
        let (gone, there) = ((last_name(from), None), (last_name(to), Some(node)));
        if from.parent() == to.parent() {
            return state.change(from, vec![gone, there]);
        }
        // Between folders a loss of power may keep one change without the other.
        state.change(to, vec![there])?;
        state.change(from, vec![gone])
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().remove(path)
    }

    fn remove_empty_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        let node = state.find(folder)?;
        if !state.entries(node)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.remove(folder)
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Lock>> {
        let mut state = self.state();
        state.step(Step::Adds)?;
        if state.find(file).is_err() {
            state.add(file, Node::empty_file())?;
        }
        if !state.locked.insert(file.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Unlock { state: Arc::clone(&self.state), file: file.to_owned() })))
    }
}

/// Frees a lock when it is dropped.
#[derive(Debug)]
struct Unlock {
    state: Arc<Mutex<State>>,
    file: PathBuf,
}

impl Drop for Unlock {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.locked.remove(&self.file);
    }
}
