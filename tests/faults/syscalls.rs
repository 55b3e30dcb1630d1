//! Each single call that changes files: the process dies at it, or it fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::folder::{Folder, MODEL, State};
use crate::program;
use crate::{Scale, Survived};

/// The calls by which the program changes files.
const CALLS: [&str; 9] =
    ["mkdir", "write", "fsync", "fdatasync", "rename", "renameat2", "unlink", "unlinkat", "rmdir"];

/// What is done, and what it makes of versions 1 to 3, of which 2 is active.
const OPERATIONS: [Operation; 4] = [
    Operation {
        what: "train",
        args: &["train", "CSV", "--model", MODEL],
        makes: (&[1, 2, 3, 4], 4),
    },
    Operation {
        what: "train and let go",
        args: &["train", "CSV", "--model", MODEL, "--keep-versions", "1", "--no-activate"],
        makes: (&[1, 2, 4], 2),
    },
    Operation { what: "activate", args: &["models", "activate", "mine@1"], makes: (&[1, 2, 3], 1) },
    Operation { what: "delete", args: &["models", "delete", "mine@3"], makes: (&[1, 2], 2) },
];

struct Operation {
    what: &'static str,
    args: &'static [&'static str],
    makes: (&'static [u64], u64),
}

impl Operation {
    fn folder() -> (Folder, State) {
        let mut folder = Folder::new();
        let name = crate::folder::name();
        folder.repository().publish(&name, &crate::folder::model()).expect("published");
        let before = folder.after_start();
        (folder, before)
    }

    fn args(&self, csv: &str) -> Vec<String> {
        self.args.iter().map(|arg| if *arg == "CSV" { csv } else { arg }.to_owned()).collect()
    }

    /// Runs it under strace, with calls injected or not. Returns its exit code and what strace wrote.
    fn traced(&self, folder: &Folder, inject: Option<&str>) -> (Option<i32>, String, String) {
        let log = folder.models().with_file_name("trace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&log);
        strace.args(["-e", &format!("trace={}", CALLS.join(","))]);
        if let Some(inject) = inject {
            strace.args(["-e", &format!("inject={inject}")]);
        }
        strace.arg(program::PATH);
        let args = self.args(&folder.csv());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = program::of(strace, &folder.models(), &args);
        // strace itself is found by it.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let output = command.stdout(Stdio::null()).output().expect("strace runs");
        let trace = fs::read_to_string(&log).unwrap_or_default();
        (output.status.code(), program::complaint(&output), trace)
    }

    /// The number of times that each call is made by the thread that makes most of them.
    fn calls(&self) -> BTreeMap<&'static str, usize> {
        let (folder, _) = Self::folder();
        let (code, complaint, trace) = self.traced(&folder, None);
        assert_eq!(code, Some(0), "{}: {complaint}", self.what);
        let mut counts = BTreeMap::new();
        for call in CALLS {
            let mut by_thread = BTreeMap::new();
            for line in trace.lines().filter(|line| line.contains(&format!(" {call}("))) {
                *by_thread.entry(line.split(' ').next()).or_insert(0) += 1;
            }
            counts.insert(call, by_thread.into_values().max().unwrap_or(0));
        }
        counts
    }

    /// Whether what was found is the state before, the one this makes, or one of those that a training
    /// goes through: the version is there and not active yet, or old ones are not let go yet.
    fn allows(&self, before: &State, found: &State, is_done: bool) -> bool {
        let (versions, active) = self.makes;
        let made = State { versions: versions.iter().copied().collect(), active: Some(active) };
        let all = before.versions.union(&made.versions).copied().collect();
        let stored = State { versions: all, active: before.active };
        // A training that cannot let old versions go is done all the same: the next one does it.
        let lets_go = self.args.contains(&"--keep-versions");
        *found == made || *found == stored && (lets_go || !is_done) || found == before && !is_done
    }
}

fn is_permitted() -> bool {
    let strace = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).output();
    strace.is_ok_and(|output| output.status.success())
}

const NOT_PERMITTED: &str = "strace is not there or not permitted: see the simulated row";

/// Does every operation with something done to each of its calls.
fn at_each_call(scale: Scale, what: &str, mut check: impl FnMut(Option<i32>, &str)) -> Survived {
    if !is_permitted() {
        return Survived::new(0, NOT_PERMITTED);
    }
    let (mut n, mut n_new) = (0, 0);
    let every = scale.pick(6, 1);
    for operation in &OPERATIONS {
        for (call, count) in operation.calls() {
            // A few of each in a short run, the first ones among them.
            for when in (1..=count).step_by(every) {
                let (mut folder, before) = Operation::folder();
                let inject = format!("{call}:{what}:when={when}");
                let (code, complaint, _) = operation.traced(&folder, Some(&inject));
                check(code, &complaint);
                let found = folder.after_start();
                let is_allowed = operation.allows(&before, &found, code == Some(0));
                assert!(is_allowed, "{} {inject}: {before:?} {found:?}", operation.what);
                n += 1;
                n_new += usize::from(found != before);
                works_on(&folder.models(), &folder.csv());
            }
        }
    }
    Survived::new(n, format!("old whole {}, new whole {n_new}; 0 left after start", n - n_new))
}

/// The next training does what it should.
fn works_on(models: &Path, csv: &str) {
    let text = program::done(models, &["train", csv, "--model", MODEL, "--no-activate"]);
    assert!(text.contains("is stored, not active"), "{text}");
}

/// The process dies at each call.
pub(crate) fn kill(scale: Scale) -> Survived {
    at_each_call(scale, "signal=KILL", |code, _| {
        // 128 + 9, or no code: strace dies of the same signal.
        assert!(matches!(code, None | Some(0 | 137)), "{code:?}");
    })
}

/// Each call fails, once for want of space and once for a broken disk.
pub(crate) fn errors(scale: Scale) -> Survived {
    let mut n = 0;
    let mut found = String::new();
    for error in ["ENOSPC", "EIO"] {
        let mut n_told = 0;
        let survived = at_each_call(scale, &format!("error={error}"), |code, complaint| {
            assert!(!complaint.contains("panicked"), "{complaint}");
            assert!(matches!(code, Some(0 | 1)), "{code:?}: {complaint}");
            // Warnings stand before it, each a line.
            let is_told = complaint.lines().last().is_some_and(|line| line.starts_with("error: "));
            assert!(code == Some(0) || is_told || complaint.is_empty(), "{complaint}");
            n_told += usize::from(is_told);
        });
        n += survived.n;
        found.push_str(&format!("{error}: told {n_told}, {}; ", survived.found));
    }
    Survived::new(n, found.trim_end_matches("; "))
}
