//! The file operations the repository is made of, behind a trait so that tests can make each of them
//! fail, end there, or forget what was not synced.
//!
//! Links are never followed at the last component of a path, except by [`Files::list`] at the root
//! of the repository.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::Path,
    time::SystemTime,
};

/// What the repository asks of a file system.
pub(super) trait Files: fmt::Debug + Send + Sync {
    /// Returns what stands at a path, or `None` where nothing does.
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>>;

    /// Returns the names in a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Returns the content of a file, or an error if it is longer than `max_bytes`.
    fn read(&self, file: &Path, max_bytes: u64) -> io::Result<Vec<u8>>;

    /// Returns the first bytes of a file: `n_bytes`, or all where it has fewer.
    fn read_first(&self, file: &Path, n_bytes: usize) -> io::Result<Vec<u8>>;

    /// Makes a folder in one that exists.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Writes a new file and syncs its content, not its entry in the folder.
    fn write_synced(&self, file: &Path, content: &[u8]) -> io::Result<()>;

    /// Makes the entries of a folder survive a loss of power.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Renames a file or folder, in place of a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file, or a folder with everything in it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder that holds nothing, or fails.
    fn remove_empty_folder(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file, which is made if need be, or returns `None` where somebody else holds the lock.
    fn try_lock(&self, file: &Path) -> io::Result<Option<Lock>>;
}

/// Holds a lock until it is dropped or the process ends, in whatever way.
pub(super) type Lock = Box<dyn fmt::Debug + Send>;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Length in bytes, of a file.
    pub(super) len: u64,
    /// When the content was last changed.
    pub(super) modified: SystemTime,
}

/// The kinds of entries the repository tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A link, a pipe, a device.
    Other,
}

/// The operating system's files.
#[derive(Debug, Clone, Copy)]
pub(super) struct OsFiles;

impl Files for OsFiles {
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let kind = match metadata.file_type() {
            t if t.is_file() => Kind::File,
            t if t.is_dir() => Kind::Folder,
            _ => Kind::Other,
        };
        Ok(Some(Entry { kind, len: metadata.len(), modified: metadata.modified()? }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn read(&self, file: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let file = File::open(file)?;
        let n_bytes = file.metadata()?.len();
        if n_bytes > max_bytes {
            let problem = format!("{n_bytes} bytes, allowed are {max_bytes}");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        }
        let mut content = Vec::new();
        // Fails where `with_capacity` would end the process.
        content.try_reserve_exact(usize::try_from(n_bytes).unwrap_or(usize::MAX))?;
        file.take(max_bytes).read_to_end(&mut content)?;
        Ok(content)
    }

    fn read_first(&self, file: &Path, n_bytes: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(file)?.take(n_bytes as u64).read_to_end(&mut content)?;
        Ok(content)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn write_synced(&self, file: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(file)?;
        file.write_all(content)?;
        file.sync_all()
    }

    #[cfg(unix)]
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    // Elsewhere the standard library cannot open a folder, so it cannot be synced: what a loss of power
    // leaves of a rename is up to the file system's own journal there.
    #[cfg(not(unix))]
    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    }

    fn remove_empty_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Lock>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}
