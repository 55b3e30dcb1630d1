//! A disk without room, and one that cannot be written, under a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::folder::{Folder, MODEL};
use crate::program::{self, Server};
use crate::{Scale, Survived};

/// A disk of one MiB in memory, gone at the end.
struct Disk(TempDir);

impl Disk {
    /// `None` where mounting is not permitted.
    fn mount() -> Option<Self> {
        let place = TempDir::new().expect("a temporary folder");
        let args = ["-t", "tmpfs", "-o", "size=1m", "dictum-faults"];
        mount(&args, place.path()).then(|| Self(place))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg(self.path()).status().ok();
    }
}

fn mount(args: &[&str], place: &Path) -> bool {
    Command::new("mount").args(args).arg(place).output().is_ok_and(|mount| mount.status.success())
}

const NOT_PERMITTED: &str = "mounting is not permitted: see the row before";

const ACTIVATE: [&str; 3] = ["models", "activate", "mine@1"];
const DELETE: [&str; 3] = ["models", "delete", "mine@1"];

/// What a training and these operations say, of a folder and of a server. None may do what it was asked.
fn refusals(server: &Server, folder: &Folder, operations: &[[&str; 3]]) -> Vec<String> {
    let (url, csv, models) = (server.url(), folder.csv(), &folder.models());
    let train = ["train", &csv, "--model", MODEL];
    let mut refusals = Vec::new();
    for args in std::iter::once(&train[..]).chain(operations.iter().map(|args| &args[..])) {
        refusals.push(told(&program::run(models, args)));
        refusals.push(told(&program::run(models, &[args, &["--server", &url]].concat())));
        server.assert_serves(MODEL, 2);
    }
    refusals
}

fn told(output: &Output) -> String {
    program::refusal(output).lines().last().unwrap_or_default().to_owned()
}

/// The disk is filled up to the last byte.
pub(crate) fn full(_scale: Scale) -> Survived {
    let Some(disk) = Disk::mount() else { return Survived::new(0, NOT_PERMITTED) };
    let mut folder = Folder::within(disk.path());
    let server = Server::start(&folder.models());
    let filler = fill(disk.path());
    let refusals = refusals(&server, &folder, &[ACTIVATE]);
    for refusal in &refusals {
        let is_clear = ["o space left", "no room"].iter().any(|text| refusal.contains(text));
        assert!(is_clear, "{refusal}");
    }
    let state = folder.after_start();
    assert_eq!((state.versions.len(), state.active), (2, Some(2)));
    // What gives room back is done.
    program::done(&folder.models(), &DELETE);
    fs::remove_file(filler).expect("removed");
    program::done(&folder.models(), &["train", &folder.csv(), "--model", MODEL]);
    Survived::new(refusals.len(), format!("version 2 answered on; “{}”", shortest(&refusals)))
}

fn fill(disk: &Path) -> PathBuf {
    let filler = disk.join("filler");
    let mut n_bytes = 1 << 20;
    let mut content = Vec::new();
    while n_bytes > 0 {
        let mut longer = content.clone();
        longer.resize(content.len() + n_bytes, 1);
        if fs::write(&filler, &longer).is_ok() {
            content = longer;
        } else {
            n_bytes /= 2;
        }
    }
    // A failed write leaves what fitted.
    assert!(fs::write(disk.join("more"), "x").is_err(), "the disk is full");
    fs::remove_file(disk.join("more")).ok();
    filler
}

/// The folder can be read only.
pub(crate) fn read_only(_scale: Scale) -> Survived {
    let Some(disk) = Disk::mount() else { return Survived::new(0, NOT_PERMITTED) };
    let mut folder = Folder::within(disk.path());
    let server = Server::start(&folder.models());
    if !mount(&["-o", "remount,ro"], disk.path()) {
        return Survived::new(0, NOT_PERMITTED);
    }
    let refusals = refusals(&server, &folder, &[ACTIVATE, DELETE]);
    for refusal in &refusals {
        let is_clear = ["Read-only", "cannot be written"].iter().any(|text| refusal.contains(text));
        assert!(is_clear, "{refusal}");
    }
    let another = Server::start(&folder.models());
    another.assert_serves(MODEL, 2);
    assert!(mount(&["-o", "remount,rw"], disk.path()), "writable again");
    let state = folder.after_start();
    assert_eq!((state.versions.len(), state.active), (2, Some(2)));
    Survived::new(refusals.len(), format!("a server starts and answers; “{}”", shortest(&refusals)))
}

fn shortest(refusals: &[String]) -> &str {
    refusals.iter().min_by_key(|refusal| refusal.len()).map_or("", String::as_str)
}
